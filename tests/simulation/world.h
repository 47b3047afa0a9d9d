// All that a history consists of. world.cc: who takes part, and what must
// become of them; provisioners.cc: who issues tokens, and cuts them off;
// trouble.cc: what goes wrong; rogues.cc: who wants what is not theirs.

#ifndef LATCHKEY_TESTS_SIMULATION_WORLD_H_
#define LATCHKEY_TESTS_SIMULATION_WORLD_H_

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "clients/node/broker_client.h"
#include "crypto/certificate_authority.h"
#include "devcluster/api_server.h"
#include "devcluster/controllers.h"
#include "devcluster/object_store.h"
#include "services/batch_issue.h"
#include "services/token_administration.h"
#include "services/token_broker.h"
#include "tests/simulation/audit_book.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/history.h"
#include "tests/simulation/network.h"
#include "tests/simulation/parties.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/write_log.h"

namespace latchkey_testing {

// When somebody was not there, or was not answered.
class Absence {
 public:
  void Begin(absl::Time now) {
    if (!since_.has_value()) since_ = now;
  }
  void End(absl::Time now) {
    if (since_.has_value()) past_.emplace_back(*since_, now);
    since_.reset();
  }
  void Add(absl::Time begin, absl::Time end) { past_.emplace_back(begin, end); }
  const std::vector<std::pair<absl::Time, absl::Time>>& past() const {
    return past_;
  }

 private:
  std::optional<absl::Time> since_;
  std::vector<std::pair<absl::Time, absl::Time>> past_;
};

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
  // Of the token that is asked for it.
  latchkey::TokenScope scope;
  Scheduler::Group group = 0;
  std::set<Scheduler::Group> groups;  // that it ever was
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
  Absence away;

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
  // A call to any broker, of which the write log knows what it wrote.
  template <typename Answer>
  absl::StatusOr<Answer> Ask(
      std::string_view verb, std::string_view object, CallKind kind,
      std::function<absl::StatusOr<Answer>(const BrokerServices&)> body);

  // world.cc
  void StartControllers();
  void RunControllers();
  void Plan();
  Machine& PlanMachine(int number, size_t key);
  latchkey::TokenScope ScopeOf(const Machine& machine);
  static latchkey::BootstrapGrant GrantOf(const latchkey::BootstrapToken& token,
                                          const latchkey::TokenScope& scope);
  void StartMachine(Machine& machine);
  void Join(Machine& machine);
  void TryToJoin(Machine& machine, BrokerCalls& broker, SimulatedPace& pace);
  void CheckCredential(const Machine& machine);
  void RegisterNode(const Machine& machine);
  bool Settled() const;
  bool Scrubbed() const;
  // Gives turns until `done`, the time is `until`, or it goes round.
  void GiveTurns(absl::Time until, const std::function<bool()>& done);
  // Far more turns than a history has: it would never end.
  bool GoesRound() const;
  void Judge();
  void LookForSecrets();
  bool IsExcused(const Machine& machine);
  // Whether it was not there long enough to fetch its certificate.
  bool WasAwayFor(const Machine& machine, absl::Time from, absl::Time to) const;

  // provisioners.cc
  void PlanProvisioning(const std::vector<Machine*>& machines);
  void PlanOrders(Machine& machine);
  void PlanStranger(Machine& machine);
  // A secret: with the Secret's salt it makes the ticket.
  static latchkey::SecretString RequestIdOf(const Machine& machine, bool trial);
  latchkey::IssueRequest RequestFor(const Machine& machine,
                                    latchkey::Delivery delivery) const;
  void Provision(Machine& machine, latchkey::Delivery delivery);
  void ProvisionTogether(const std::vector<Machine*>& machines,
                         const std::vector<latchkey::Delivery>& deliveries);
  absl::StatusOr<latchkey::BatchResults> IssueTogether(
      const std::vector<latchkey::IssueRequest>& requests);
  void HandOver(Machine& machine, const latchkey::IssuedToken& issued);
  void CompareTwin(const latchkey::IssuedToken& issued,
                   const std::optional<latchkey::IssuedToken>& twin);
  // False if nobody can know yet: ask again. A refusal is final.
  bool CheckIssued(const latchkey::IssueRequest& request,
                   const absl::StatusOr<latchkey::IssuedToken>& issued,
                   bool may_be_refused);
  std::optional<latchkey::IssuedToken> IssueUntilAnswered(
      const latchkey::IssueRequest& request, bool may_be_refused);
  void Preview(const Machine& machine);
  void RevokeById(Machine& machine, const latchkey::Identity& by, bool trial);
  void RevokeByFilter(Machine& machine, const latchkey::Identity& by,
                      bool trial);
  void Extend(Machine& machine, const latchkey::Identity& by,
              absl::Duration beyond_now);
  void CheckRefusal(const std::string& token_id, const absl::Status& refusal);
  void AskAsAStranger(Machine& machine, uint64_t verb, int number);
  // A pause between attempts. `answer` was none: whether to ask again.
  bool AskAgain(const absl::Status& answer);

  // rogues.cc
  void PlanRogue(Machine& victim, size_t key);
  void PlanThief(Machine& victim, size_t key);
  void PlanGuesser(Machine& victim);
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
  // What tokens are asked for; of its own, so that it changes nothing else.
  std::mt19937_64 terms_;
  // Tokens that expire before everybody has joined.
  const bool short_lives_;
  std::vector<std::unique_ptr<SimulatedBroker>> brokers_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::set<std::string> tokens_of_deleted_csrs_;
  bool peace_ = false;
  Absence api_server_away_;
  // What callers were told, if it is to be searched for secrets.
  std::vector<std::string> told_;
  HistoryResult result_;
};

// How the names of rogues' CSRs begin.
inline constexpr std::string_view kRogueCsr = "rogue-";

// The identities of a history: who issues, who manages all, and who may manage
// its own tokens and has none.
latchkey::Identity Provisioner();
latchkey::Identity Operator();
latchkey::Identity Stranger();
latchkey::Policy SimulatedPolicy(Scheduler& scheduler);

template <typename Answer>
absl::StatusOr<Answer> World::Ask(
    std::string_view verb, std::string_view object, CallKind kind,
    std::function<absl::StatusOr<Answer>(const BrokerServices&)> body) {
  auto answer = AnyBroker().Call<Answer>(
      verb, object,
      [this, kind, verb = std::string(verb), body = std::move(body)](
          const BrokerServices& services) -> absl::StatusOr<Answer> {
        WriteLog::Call call(log_, kind, verb);
        auto result = body(services);
        call.End(result.status());
        return result;
      });
  if (thorough_ && !answer.ok()) told_.push_back(answer.status().ToString());
  return answer;
}

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_SIMULATION_WORLD_H_
