#include "tests/simulation/history.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "crypto/certificate_authority.h"
#include "devcluster/api_server.h"
#include "devcluster/controllers.h"
#include "devcluster/user.h"
#include "kubernetes/certificates.pb.h"
#include "kubernetes/core.pb.h"
#include "tests/simulation/network.h"
#include "tests/simulation/parties.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/write_log.h"

namespace latchkey_testing {
namespace {

using latchkey::BootstrapGrant;
using latchkey::BootstrapToken;
using latchkey::Delivery;
using latchkey::Identity;
using latchkey::IssuedToken;
using latchkey::IssueRequest;
using latchkey::JoinPlan;
using latchkey::NodeClaim;
using latchkey::Ticket;
using latchkey::TokenBroker;
using latchkey::TokenRecord;
using latchkey::TokenState;
using Csr = latchkey::kubernetes::CertificateSigningRequest;
using Node = latchkey::kubernetes::Node;
using Secret = latchkey::kubernetes::Secret;

const absl::Time kBegin = absl::FromUnixSeconds(1'800'000'000);
constexpr absl::Duration kTroubledTime = absl::Seconds(60);
constexpr absl::Duration kPatience = absl::Minutes(30);
constexpr char kProvisioner[] = "spiffe://example.org/autoscaler";

const latchkey::CertificateAuthority& Authority() {
  static const auto authority = latchkey::CertificateAuthority::Create(
      "simulated cluster", kBegin - absl::Hours(24),
      kBegin + absl::Hours(24 * 365));
  return *authority;
}

Identity Provisioner() {
  Identity identity{.name = kProvisioner, .attributes = {}};
  identity.attributes["spiffe_id"] = {kProvisioner};
  return identity;
}

// A machine that wants to join, or a thief's.
struct Machine {
  Machine(Scheduler& scheduler, std::string name, size_t key)
      : node_name(std::move(name)),
        key_digest(PooledKey(key).public_key_digest()),
        clock(scheduler),
        disk(scheduler, PooledKey(key)) {}

  const std::string node_name;
  const latchkey::KeyDigest key_digest;
  SkewedClock clock;
  SimulatedDisk disk;
  bool thief = false;
  Scheduler::Group group = 0;
  std::optional<std::variant<Ticket, BootstrapGrant>> credential;
  std::string token_id;
  bool joined = false;
  std::optional<absl::Status> refused;

  bool settled() const { return joined || refused.has_value(); }
};

class World {
 public:
  explicit World(const HistoryOptions& options);
  HistoryResult Run();

 private:
  class BrokerCalls;

  double Dose(double usual) const { return usual * options_.trouble; }
  FaultRates Troubled() const;
  SimulatedBroker& AnyBroker() {
    return *brokers_[scheduler_.Below(brokers_.size())];
  }
  void Violation(std::string what) { violations_.push_back(std::move(what)); }

  void StartControllers();
  void RunControllers();
  void Plan();
  void PlanThief(Machine& victim);
  void Provision(Machine& machine, Delivery delivery);
  std::optional<IssuedToken> IssueUntilAnswered(const IssueRequest& request);
  BootstrapGrant GrantOf(const BootstrapToken& token,
                         const TokenRecord& record) const;
  void StartMachine(Machine& machine);
  void Join(Machine& machine);
  void RegisterNode(const Machine& machine);

  void MakeTrouble();
  void TroubleABroker();
  void TroubleAMachine();
  void TroubleTheCluster();
  void DeleteSomething();
  void MakePeace();

  bool Settled() const;
  bool Scrubbed() const;
  void Judge();
  bool IsExcused(const Machine& machine) const;

  const HistoryOptions options_;
  Scheduler scheduler_;
  SkewedClock true_clock_;
  const std::unique_ptr<latchkey::ObjectStore> objects_;
  WriteLog log_;
  LoggedStore store_;
  latchkey::ApiServer api_;
  Network network_;
  std::shared_ptr<void> on_change_;
  const std::unique_ptr<latchkey::KubernetesClient> admin_;
  const std::unique_ptr<latchkey::KubernetesClient> controllers_client_;
  std::unique_ptr<latchkey::Controllers> controllers_;
  Scheduler::Group controllers_group_ = 0;
  const latchkey::LivePolicy policy_;
  std::vector<std::unique_ptr<SimulatedBroker>> brokers_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::set<std::string> deleted_tokens_;
  std::set<std::string> tokens_of_deleted_csrs_;
  bool peace_ = false;
  HistoryResult result_;
  std::vector<std::string> violations_;
};

// What a machine's joiner asks of brokers: any of them, each time.
class World::BrokerCalls final : public latchkey::BrokerClient {
 public:
  BrokerCalls(World& world, Machine& machine)
      : world_(world), machine_(machine) {}

  absl::StatusOr<BootstrapGrant> Claim(const NodeClaim& claim,
                                       absl::Duration /*timeout*/) override {
    const auto answer = world_.AnyBroker().Call<latchkey::ClaimedToken>(
        fmt::format("claim by {}", machine_.key_digest.substr(0, 6)),
        [claim](TokenBroker& broker) {
          return broker.Claim({.ticket = claim.ticket.text(),
                               .node_name = claim.node_name,
                               .csr_pem = claim.csr_pem,
                               .peer = "simulated"});
        });
    if (!answer.ok()) return answer.status();
    return world_.GrantOf(answer->token, answer->record);
  }

 private:
  World& world_;
  Machine& machine_;
};

latchkey::Policy PolicyOf(Scheduler& scheduler) {
  latchkey::PolicyRule rule{.name = "workers"};
  rule.provisioners = {{{{"spiffe_id", kProvisioner}}}};
  rule.node_names = {"*"};
  rule.delivery = {Delivery::kTicket, Delivery::kDirect};
  rule.freeze_on_misuse = scheduler.Chance(0.3);
  return latchkey::Policy({rule});
}

World::World(const HistoryOptions& options)
    : options_(options),
      scheduler_(options.seed, kBegin),
      true_clock_(scheduler_),
      objects_(latchkey::MakeMemoryObjectStore()),
      store_(*objects_, log_),
      api_(store_, true_clock_,
           {.random_bytes =
                [this](size_t count) {
                  std::string bytes(count, '\0');
                  for (char& byte : bytes) {
                    byte = static_cast<char>(scheduler_.Below(256));
                  }
                  return bytes;
                }}),
      network_(scheduler_, api_),
      on_change_(store_.Listen([this] { network_.NoteChange(); })),
      admin_(network_.ClientOf(latchkey::AdminUser())),
      controllers_client_(network_.ClientOf(latchkey::AdminUser())),
      policy_(PolicyOf(scheduler_)) {
  if (options.keep_trace) network_.KeepTrace();
}

FaultRates World::Troubled() const {
  return {.lost_request = Dose(0.02),
          .lost_answer = Dose(0.03),
          .late_request = Dose(0.02),
          .throttled = Dose(0.01),
          .server_error = Dose(0.01),
          .slow = Dose(0.02),
          .broken_watch = Dose(0.02),
          .lagging_watch = Dose(0.05)};
}

// Both takers of trouble may be at it at once: whoever comes second finds the
// first one's work running, and ends it.
void World::StartControllers() {
  scheduler_.Kill(controllers_group_);
  controllers_group_ = scheduler_.NewGroup();
  controllers_ = std::make_unique<latchkey::Controllers>(
      *controllers_client_, Authority(), true_clock_,
      latchkey::ControllerOptions());
  scheduler_.Spawn(controllers_group_, [this] { RunControllers(); });
}

void World::RunControllers() {
  while (true) {
    const absl::Time next = controllers_->Step();
    network_.AwaitChange(std::clamp(next - scheduler_.Now(),
                                    absl::Milliseconds(1), absl::Seconds(30)));
  }
}

BootstrapGrant World::GrantOf(const BootstrapToken& token,
                              const TokenRecord& /*record*/) const {
  return {.token = token,
          .api_servers = {"https://api.example:6443"},
          .ca_pem = Authority().certificate_pem()};
}

// ---- who takes part -------------------------------------------------------

void World::Plan() {
  for (int i = 0; i < options_.brokers; ++i) {
    brokers_.push_back(std::make_unique<SimulatedBroker>(network_, policy_));
  }
  StartControllers();
  size_t key = scheduler_.Below(40);
  for (int i = 0; i < options_.nodes; ++i) {
    machines_.push_back(std::make_unique<Machine>(
        scheduler_, fmt::format("worker-{}", i), key++));
    Machine& machine = *machines_.back();
    const Delivery delivery =
        scheduler_.Chance(0.3) ? Delivery::kDirect : Delivery::kTicket;
    scheduler_.Spawn(scheduler_.NewGroup(), [this, &machine, delivery] {
      scheduler_.Sleep(absl::Seconds(20) * scheduler_.Fraction());
      Provision(machine, delivery);
    });
    StartMachine(machine);
  }
  const size_t honest = machines_.size();
  for (size_t i = 0; i < honest; ++i) {
    if (!scheduler_.Chance(Dose(0.25))) continue;
    machines_.push_back(std::make_unique<Machine>(
        scheduler_,
        scheduler_.Chance(0.5) ? machines_[i]->node_name : "thief-1", key++));
    machines_.back()->thief = true;
    PlanThief(*machines_[i]);
  }
}

// The last machine is the thief's: it gets what `victim` has, a while later.
void World::PlanThief(Machine& victim) {
  Machine& thief = *machines_.back();
  const absl::Duration after =
      scheduler_.Chance(0.5) ? absl::Milliseconds(30) : absl::Seconds(20);
  scheduler_.Spawn(scheduler_.NewGroup(), [this, &victim, &thief, after] {
    while (!victim.credential.has_value()) {
      scheduler_.Await(&victim, absl::InfiniteDuration());
    }
    scheduler_.Sleep(after * scheduler_.Fraction());
    thief.credential = victim.credential;
    thief.token_id = victim.token_id;
    // Half of them come by the token itself, once there is one.
    const TokenRecord* record = log_.LastRecord(victim.token_id);
    if (scheduler_.Chance(0.5) && record != nullptr &&
        record->state != TokenState::kIssued) {
      const auto token = BootstrapToken::FromParts(record->id, record->secret);
      if (token.ok()) thief.credential = GrantOf(*token, *record);
    }
    scheduler_.Signal(&thief);
  });
  StartMachine(thief);
}

std::optional<IssuedToken> World::IssueUntilAnswered(
    const IssueRequest& request) {
  while (true) {
    auto issued = AnyBroker().Call<IssuedToken>(
        "issue " + request.scope.node_name, [request](TokenBroker& broker) {
          return broker.Issue(Provisioner(), request);
        });
    if (issued.ok()) return *std::move(issued);
    const std::string reason = latchkey::ReasonOf(issued.status());
    if (reason == latchkey::reason::kRequestIdReused ||
        reason == latchkey::reason::kPolicyDenied) {
      Violation("an honest request was refused: " + issued.status().ToString());
    }
    if (!reason.empty()) return std::nullopt;
    scheduler_.Sleep(absl::Milliseconds(200) +
                     absl::Seconds(1) * scheduler_.Fraction());
  }
}

void World::Provision(Machine& machine, Delivery delivery) {
  IssueRequest request;
  request.scope.node_name = machine.node_name;
  request.delivery = delivery;
  request.request_id = "request-for-" + machine.node_name;
  auto twin = std::make_shared<std::optional<IssuedToken>>();
  const bool twice = scheduler_.Chance(0.3);
  if (twice) {
    scheduler_.Spawn(scheduler_.NewGroup(), [this, request, twin] {
      *twin = IssueUntilAnswered(request);
    });
  }
  const std::optional<IssuedToken> issued = IssueUntilAnswered(request);
  if (!issued.has_value()) {
    // Only its own twin, or somebody who deletes, can have been before.
    machine.refused = absl::FailedPreconditionError("not issued");
    return;
  }
  machine.token_id = issued->record.id.text();
  if (twin->has_value() && (*twin)->record.id != issued->record.id &&
      !deleted_tokens_.contains((*twin)->record.id.text())) {
    Violation("one request, two tokens");
  }
  if (delivery == Delivery::kTicket) {
    if (twin->has_value() && (*twin)->record.id == issued->record.id &&
        (*twin)->record.create_time == issued->record.create_time &&
        (*twin)->ticket->text().Reveal() != issued->ticket->text().Reveal()) {
      Violation("one request, two tickets");
    }
    machine.credential = *issued->ticket;
  } else {
    machine.credential = GrantOf(*issued->token, issued->record);
  }
  scheduler_.Signal(&machine);
}

void World::StartMachine(Machine& machine) {
  scheduler_.Kill(machine.group);
  machine.group = scheduler_.NewGroup();
  scheduler_.Spawn(machine.group, [this, &machine] { Join(machine); });
}

void World::Join(Machine& machine) {
  while (!machine.credential.has_value() && !machine.settled()) {
    scheduler_.Await(&machine, absl::Seconds(30));
  }
  SimulatedPace pace(scheduler_);
  BrokerCalls broker(*this, machine);
  while (!machine.settled()) {
    latchkey::NodeJoiner joiner(
        {.node_name = machine.node_name,
         .credential = *machine.credential,
         .timeout = absl::Minutes(2)},
        {.broker = &broker,
         .api_servers = [this](const latchkey::ApiServerLogin& login)
             -> absl::StatusOr<std::unique_ptr<latchkey::KubernetesClient>> {
           const auto& token = std::get<BootstrapToken>(login.credential);
           return network_.ClientWithToken(
               std::string(token.Joined().Reveal()));
         },
         .files = machine.disk,
         .clock = machine.clock,
         .pace = pace,
         .on_progress = nullptr});
    const auto result = joiner.Run();
    if (result.ok()) {
      RegisterNode(machine);
      machine.joined = true;
      network_.Trace(machine.node_name + " joined");
    } else if (absl::IsPermissionDenied(result.status())) {
      machine.refused = result.status();
      network_.Trace(fmt::format("{} refused: {}", machine.node_name,
                                 result.status().ToString()));
    } else {
      scheduler_.Sleep(absl::Seconds(1) +
                       absl::Seconds(1) * scheduler_.Fraction());
    }
  }
}

// As its kubelet would, or not yet.
void World::RegisterNode(const Machine& machine) {
  if (scheduler_.Chance(0.3)) return;
  Node node;
  node.mutable_metadata()->set_name(machine.node_name);
  admin_->Create(node).status().IgnoreError();
}

// ---- what goes wrong ------------------------------------------------------

void World::MakeTrouble() {
  while (!peace_) {
    scheduler_.Sleep(absl::Seconds(6) * scheduler_.Fraction());
    if (peace_) return;
    if (!scheduler_.Chance(Dose(0.6))) continue;
    switch (scheduler_.Below(8)) {
      case 0:
      case 1:
      case 2:
        TroubleABroker();
        break;
      case 3:
      case 4:
        TroubleAMachine();
        break;
      case 5:
      case 6:
        TroubleTheCluster();
        break;
      default:
        DeleteSomething();
    }
  }
}

void World::TroubleABroker() {
  SimulatedBroker& broker = AnyBroker();
  const absl::Duration while_for = absl::Seconds(20) * scheduler_.Fraction();
  switch (scheduler_.Below(3)) {
    case 0:
      network_.Trace("a broker is killed");
      broker.Kill();
      scheduler_.Sleep(while_for / 4);
      broker.Restart();
      break;
    case 1:
      network_.Trace("a broker is frozen");
      broker.SetFrozen(true);
      scheduler_.Sleep(while_for * 2);
      broker.SetFrozen(false);
      break;
    default:
      broker.clock().SetSkew(absl::Minutes(6) * (scheduler_.Fraction() - 0.5));
  }
}

void World::TroubleAMachine() {
  Machine& machine = *machines_[scheduler_.Below(machines_.size())];
  if (machine.settled()) return;
  if (scheduler_.Chance(0.6)) {
    network_.Trace(machine.node_name + " is killed");
    scheduler_.Kill(machine.group);
    scheduler_.Sleep(absl::Seconds(5) * scheduler_.Fraction());
    StartMachine(machine);
  } else {
    network_.Trace(machine.node_name + " is frozen");
    const Scheduler::Group group = machine.group;
    scheduler_.SetFrozen(group, true);
    scheduler_.Sleep(absl::Seconds(15) * scheduler_.Fraction());
    scheduler_.SetFrozen(group, false);
  }
}

void World::TroubleTheCluster() {
  switch (scheduler_.Below(4)) {
    case 0:
      network_.SetApiServerDown(true);
      scheduler_.Sleep(absl::Seconds(5) * scheduler_.Fraction());
      network_.SetApiServerDown(false);
      break;
    case 1:
      network_.Trace("the history is forgotten");
      store_.ForgetHistory();
      network_.NoteChange();
      break;
    case 2:
      network_.Trace("the controllers are killed");
      scheduler_.Kill(controllers_group_);
      scheduler_.Sleep(absl::Seconds(5) * scheduler_.Fraction());
      StartControllers();
      break;
    default:
      scheduler_.SetFrozen(controllers_group_, true);
      scheduler_.Sleep(absl::Seconds(15) * scheduler_.Fraction());
      scheduler_.SetFrozen(controllers_group_, false);
  }
}

// As an operator who tidies up might.
void World::DeleteSomething() {
  if (scheduler_.Chance(0.1)) {
    const Machine& machine = *machines_[scheduler_.Below(machines_.size())];
    if (machine.token_id.empty()) return;
    deleted_tokens_.insert(machine.token_id);
    network_.Trace("token " + machine.token_id + " is deleted");
    admin_
        ->Delete<Secret>({"kube-system", "bootstrap-token-" + machine.token_id},
                         {})
        .IgnoreError();
    return;
  }
  const auto csrs =
      admin_->List<latchkey::kubernetes::CertificateSigningRequestList>({});
  if (!csrs.ok() || csrs->items().empty()) return;
  const Csr& csr =
      csrs->items(static_cast<int>(scheduler_.Below(csrs->items().size())));
  network_.Trace("CSR " + csr.metadata().name() + " is deleted");
  const auto token = latchkey::TokenIdOfUsername(csr.spec().username());
  if (token.ok()) tokens_of_deleted_csrs_.insert(token->text());
  admin_->Delete<Csr>({"", csr.metadata().name()}, {}).IgnoreError();
}

void World::MakePeace() {
  peace_ = true;
  network_.SetRates({});
  network_.SetApiServerDown(false);
  for (const auto& broker : brokers_) {
    broker->clock().SetSkew(absl::ZeroDuration());
    broker->SetFrozen(false);
    broker->Restart();
  }
  for (const auto& machine : machines_) {
    scheduler_.SetFrozen(machine->group, false);
  }
  scheduler_.SetFrozen(controllers_group_, false);
}

// ---- what became of it ----------------------------------------------------

bool World::Settled() const {
  return std::all_of(machines_.begin(), machines_.end(),
                     [](const auto& machine) { return machine->settled(); });
}

bool World::IsExcused(const Machine& machine) const {
  if (machine.thief || deleted_tokens_.contains(machine.token_id)) return true;
  const TokenRecord* record = log_.LastRecord(machine.token_id);
  if (record == nullptr) return false;
  // A thief was there first, or was noticed.
  if (record->state == TokenState::kRevoked) return true;
  const auto bound = record->BoundKey();
  if (bound.has_value() && *bound != machine.key_digest) return true;
  // Deleted with its certificate, or unseen: nobody can know that there was
  // none, so the token stays with that CSR.
  if (tokens_of_deleted_csrs_.contains(machine.token_id) &&
      record->reservation.has_value()) {
    return true;
  }
  // Away for longer than the grace, or a broker's clock said so.
  return record->state == TokenState::kSpent;
}

void World::Judge() {
  for (const auto& machine : machines_) {
    if (machine->joined) {
      ++result_.joined;
    } else if (!IsExcused(*machine)) {
      Violation(fmt::format(
          "{} did not join: {}", machine->node_name,
          machine->refused.value_or(absl::UnknownError("never ended"))
              .ToString()));
    } else {
      ++(machine->thief ? result_.refused_thieves : result_.excused);
    }
  }
  violations_.insert(violations_.end(), log_.violations().begin(),
                     log_.violations().end());
}

HistoryResult World::Run() {
  network_.SetRates(Troubled());
  Plan();
  scheduler_.Spawn(scheduler_.NewGroup(), [this] { MakeTrouble(); });
  scheduler_.Spawn(scheduler_.NewGroup(), [this] { MakeTrouble(); });
  scheduler_.Run(kBegin + kTroubledTime, [] { return false; });
  MakePeace();
  scheduler_.Run(kBegin + kTroubledTime + kPatience,
                 [this] { return Settled(); });
  Judge();
  result_.violations = std::move(violations_);
  result_.certificates = log_.certificates();
  result_.turns = scheduler_.turns();
  result_.trace = network_.trace();
  // Fibers first: they use everything else.
  for (const auto& broker : brokers_) broker->Kill();
  scheduler_.KillAll();
  return std::move(result_);
}

}  // namespace

HistoryResult RunHistory(const HistoryOptions& options) {
  return World(options).Run();
}

}  // namespace latchkey_testing
