// All that a history consists of. world.cc: who takes part, and what must
// become of them; trouble.cc: what goes wrong; rogues.cc: who wants what is not
// theirs.

#ifndef LATCHKEY_TESTS_SIMULATION_WORLD_H_
#define LATCHKEY_TESTS_SIMULATION_WORLD_H_

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "clients/node/broker_client.h"
#include "crypto/certificate_authority.h"
#include "devcluster/api_server.h"
#include "devcluster/controllers.h"
#include "devcluster/object_store.h"
#include "services/token_broker.h"
#include "tests/simulation/audit_book.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/history.h"
#include "tests/simulation/network.h"
#include "tests/simulation/parties.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/write_log.h"

namespace latchkey_testing {

// A machine that wants to join, or a thief's.
struct Machine {
  Machine(Scheduler& scheduler, std::string name, size_t key_number)
      : node_name(std::move(name)),
        key(PooledKey(key_number)),
        clock(scheduler),
        disk(scheduler, key) {}

  const std::string node_name;
  const latchkey::PrivateKey& key;
  SkewedClock clock;
  SimulatedDisk disk;
  bool thief = false;
  Scheduler::Group group = 0;
  std::optional<std::variant<latchkey::Ticket, latchkey::BootstrapGrant>>
      credential;
  std::string token_id;
  // What a broker gave for the ticket.
  std::optional<std::string> claimed;
  // A rogue is after it.
  bool pursued = false;
  // Somebody else has asked with its request_id.
  bool id_reused = false;
  bool joined = false;
  std::optional<absl::Status> refused;

  bool settled() const { return joined || refused.has_value(); }
};

class World {
 public:
  explicit World(const HistoryOptions& options);
  ~World();
  HistoryResult Run();

 private:
  class BrokerCalls;

  double Dose(double usual) const { return usual * options_.trouble; }
  FaultRates Troubled() const;
  SimulatedBroker& AnyBroker() {
    return *brokers_[scheduler_.Below(brokers_.size())];
  }
  void Complain(std::string_view promise, std::string detail) {
    violations_.Add(promise, std::move(detail));
  }

  // world.cc
  void StartControllers();
  void RunControllers();
  void Plan();
  void PlanMachine(int number, size_t key);
  latchkey::IssueRequest RequestFor(const Machine& machine,
                                    latchkey::Delivery delivery) const;
  void Provision(Machine& machine, latchkey::Delivery delivery);
  void CompareTwin(const latchkey::IssuedToken& issued,
                   const std::optional<latchkey::IssuedToken>& twin);
  std::optional<latchkey::IssuedToken> IssueUntilAnswered(
      const latchkey::IssueRequest& request, bool may_be_refused);
  static latchkey::BootstrapGrant GrantOf(
      const latchkey::BootstrapToken& token);
  void StartMachine(Machine& machine);
  void Join(Machine& machine);
  void TryToJoin(Machine& machine, BrokerCalls& broker, SimulatedPace& pace);
  void CheckCredential(const Machine& machine);
  void RegisterNode(const Machine& machine);
  bool Settled() const;
  bool Scrubbed() const;
  void Judge();
  bool IsExcused(const Machine& machine);

  // rogues.cc
  void PlanRogue(Machine& victim, size_t key);
  void PlanThief(Machine& victim, size_t key);
  void PlanGuesser(const Machine& victim);
  void PlanHolder(const Machine& victim, size_t key);
  void PlanConfused(Machine& victim);
  void AwaitCredential(const Machine& victim);
  void AskForTooMuch(const Machine& victim, latchkey::KubernetesClient& client,
                     const latchkey::PrivateKey& key);

  // trouble.cc
  void MakeTrouble();
  void TroubleABroker();
  void TroubleAMachine();
  void TroubleTheCluster();
  void DeleteSomething();
  void DeleteAToken();
  void Usurp(const std::string& token_id,
             const latchkey::kubernetes::Secret& deleted);
  void MakePeace();

  const HistoryOptions options_;
  Scheduler scheduler_;
  Faults faults_;
  Violations violations_;
  SkewedClock true_clock_;
  // Every so many histories, what takes long: the end of each token, and the
  // proof of the audit files.
  const bool thorough_;
  AuditBook audit_;
  WriteLog log_;
  const std::unique_ptr<latchkey::ObjectStore> objects_;
  LoggedStore store_;
  latchkey::ApiServer api_;
  Network network_;
  const std::unique_ptr<latchkey::KubernetesClient> admin_;
  const std::unique_ptr<latchkey::KubernetesClient> controllers_client_;
  std::unique_ptr<latchkey::Controllers> controllers_;
  Scheduler::Group controllers_group_ = 0;
  const latchkey::LivePolicy policy_;
  // Tokens that expire before everybody has joined.
  const bool short_lives_;
  std::vector<std::unique_ptr<SimulatedBroker>> brokers_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::set<std::string> deleted_tokens_;
  std::set<std::string> tokens_of_deleted_csrs_;
  bool peace_ = false;
  HistoryResult result_;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_SIMULATION_WORLD_H_
