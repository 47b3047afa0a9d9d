#include "tests/simulation/world.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "crypto/certificate.h"
#include "devcluster/user.h"
#include "kubernetes/core.pb.h"

namespace latchkey_testing {

using latchkey::BootstrapGrant;
using latchkey::BootstrapToken;
using latchkey::Delivery;
using latchkey::Identity;
using latchkey::IssuedToken;
using latchkey::IssueRequest;
using latchkey::NodeClaim;
using latchkey::TokenBroker;
using latchkey::TokenRecord;
using latchkey::TokenState;
using Node = latchkey::kubernetes::Node;

namespace {

const absl::Time kBegin = absl::FromUnixSeconds(1'800'000'000);
constexpr absl::Duration kTroubledTime = absl::Seconds(60);
constexpr absl::Duration kPatience = absl::Minutes(30);
constexpr absl::Duration kScrubPatience = absl::Minutes(10);
constexpr char kProvisioner[] = "spiffe://example.org/autoscaler";
constexpr uint64_t kThoroughEvery = 16;

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

latchkey::Policy PolicyOf(Scheduler& scheduler) {
  latchkey::PolicyRule rule{.name = "workers"};
  rule.provisioners = {{{{"spiffe_id", kProvisioner}}}};
  rule.node_names = {"*"};
  rule.delivery = {Delivery::kTicket, Delivery::kDirect};
  rule.freeze_on_misuse = scheduler.Chance(0.3);
  return latchkey::Policy({rule});
}

}  // namespace

// What a machine's joiner asks of brokers: any of them, each time.
class World::BrokerCalls final : public latchkey::BrokerClient {
 public:
  BrokerCalls(World& world, Machine& machine)
      : world_(world), machine_(machine) {}

  absl::StatusOr<BootstrapGrant> Claim(const NodeClaim& claim,
                                       absl::Duration /*timeout*/) override {
    const auto answer = world_.AnyBroker().Call<latchkey::ClaimedToken>(
        "claim", machine_.node_name, [claim](TokenBroker& broker) {
          return broker.Claim({.ticket = claim.ticket.text(),
                               .node_name = claim.node_name,
                               .csr_pem = claim.csr_pem,
                               .peer = "simulated"});
        });
    if (!answer.ok()) return answer.status();
    if (!answer->record.claim.has_value() ||
        answer->record.claim->key_digest != machine_.key.public_key_digest()) {
      world_.Complain("a ticket was answered to another key",
                      machine_.node_name);
    }
    const std::string token(answer->token.Joined().Reveal());
    const bool over = answer->record.state == TokenState::kSpent ||
                      answer->record.state == TokenState::kRevoked;
    if (over || machine_.claimed.value_or(token) != token) {
      world_.Complain("a ticket and a key have two answers",
                      machine_.node_name);
    }
    machine_.claimed = token;
    return GrantOf(answer->token);
  }

 private:
  World& world_;
  Machine& machine_;
};

World::World(const HistoryOptions& options)
    : options_(options),
      scheduler_(options.seed, kBegin),
      faults_(options.seed, options.only_faults),
      true_clock_(scheduler_),
      thorough_(options.seed % kThoroughEvery == 0),
      audit_(thorough_, violations_),
      log_(audit_, violations_),
      objects_(latchkey::MakeMemoryObjectStore()),
      store_(*objects_, log_, true_clock_,
             [this](std::string_view plural) { network_.NoteChange(plural); }),
      api_(store_, true_clock_,
           {.random_bytes =
                [this](size_t count) {
                  std::string bytes(count, '\0');
                  for (char& byte : bytes) {
                    byte = static_cast<char>(scheduler_.Below(256));
                  }
                  return bytes;
                }}),
      network_(scheduler_, faults_, api_),
      admin_(network_.ClientOf(latchkey::AdminUser())),
      controllers_client_(network_.ClientOf(latchkey::AdminUser())),
      policy_(PolicyOf(scheduler_)),
      short_lives_(scheduler_.Chance(0.15)) {
  if (options.keep_trace) network_.KeepTrace();
}

// Fibers first: they use everything else.
World::~World() {
  for (const auto& broker : brokers_) broker->Kill();
  scheduler_.KillAll();
}

FaultRates World::Troubled() const {
  return {.lost_request = Dose(0.02),
          .lost_answer = Dose(0.03),
          .late_request = Dose(0.02),
          .repeated_request = Dose(0.02),
          .throttled = Dose(0.01),
          .server_error = Dose(0.01),
          .slow = Dose(0.02),
          .broken_watch = Dose(0.02),
          .lagging_watch = Dose(0.05),
          .lagging_login = Dose(0.1),
          .failed_record = Dose(0.02)};
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
    network_.AwaitChange(
        "", std::clamp(next - scheduler_.Now(), absl::Milliseconds(1),
                       absl::Seconds(30)));
  }
}

BootstrapGrant World::GrantOf(const BootstrapToken& token) {
  return {.token = token,
          .api_servers = {"https://api.example:6443"},
          .ca_pem = Authority().certificate_pem()};
}

// ---- who takes part -------------------------------------------------------

void World::Plan() {
  const absl::Duration grace =
      scheduler_.Chance(0.5) ? absl::Seconds(30) : absl::Minutes(2);
  log_.SetFetchGrace(grace);
  for (int i = 0; i < options_.brokers; ++i) {
    brokers_.push_back(std::make_unique<SimulatedBroker>(
        SimulatedBroker::Options{.number = i,
                                 .fetch_grace = grace,
                                 .join_window = short_lives_
                                                    ? absl::Seconds(40)
                                                    : absl::Minutes(15)},
        network_, audit_, policy_));
  }
  StartControllers();
  size_t key = scheduler_.Below(40);
  for (int i = 0; i < options_.nodes; ++i) PlanMachine(i, key++);
  for (int i = 0; i < options_.nodes; ++i) {
    Machine& victim = *machines_[static_cast<size_t>(i)];
    if (network_.Strike(Dose(0.3), "a rogue, after", victim.node_name)) {
      PlanRogue(victim, key++);
    }
  }
}

void World::PlanMachine(int number, size_t key) {
  machines_.push_back(std::make_unique<Machine>(
      scheduler_, fmt::format("worker-{}", number), key));
  Machine& machine = *machines_.back();
  if (network_.Strike(Dose(0.15), "a wrong clock at", machine.node_name)) {
    machine.clock.SetSkew(absl::Minutes(8) * (faults_.Fraction() - 0.5));
  }
  const Delivery delivery =
      scheduler_.Chance(0.3) ? Delivery::kDirect : Delivery::kTicket;
  scheduler_.Spawn(scheduler_.NewGroup(), [this, &machine, delivery] {
    scheduler_.Sleep(absl::Seconds(20) * scheduler_.Fraction());
    Provision(machine, delivery);
  });
  StartMachine(machine);
}

IssueRequest World::RequestFor(const Machine& machine,
                               Delivery delivery) const {
  IssueRequest request;
  request.scope.node_name = machine.node_name;
  request.delivery = delivery;
  request.request_id = "request-for-" + machine.node_name;
  if (short_lives_) request.lifetime = absl::Minutes(1);
  return request;
}

std::optional<IssuedToken> World::IssueUntilAnswered(
    const IssueRequest& request, bool may_be_refused) {
  while (true) {
    auto issued = AnyBroker().Call<IssuedToken>(
        "issue", request.scope.node_name, [request](TokenBroker& broker) {
          return broker.Issue(Provisioner(), request);
        });
    if (issued.ok()) {
      if (issued->record.scope != request.scope ||
          issued->record.provisioner != kProvisioner) {
        Complain("a request was answered with another one's token",
                 request.scope.node_name);
      }
      return *std::move(issued);
    }
    const std::string reason = latchkey::ReasonOf(issued.status());
    if (!may_be_refused && (reason == latchkey::reason::kRequestIdReused ||
                            reason == latchkey::reason::kPolicyDenied)) {
      Complain("an honest request was refused", issued.status().ToString());
    }
    if (!reason.empty()) return std::nullopt;
    scheduler_.Sleep(absl::Milliseconds(200) +
                     absl::Seconds(1) * scheduler_.Fraction());
  }
}

void World::Provision(Machine& machine, Delivery delivery) {
  const IssueRequest request = RequestFor(machine, delivery);
  auto twin = std::make_shared<std::optional<IssuedToken>>();
  if (network_.Strike(0.3, "asked for twice:", machine.node_name)) {
    scheduler_.Spawn(scheduler_.NewGroup(), [this, &machine, request, twin] {
      *twin = IssueUntilAnswered(request, machine.id_reused);
    });
  }
  const auto issued = IssueUntilAnswered(request, machine.id_reused);
  if (!issued.has_value()) {
    // Only its own twin, or somebody who deletes, can have been before.
    machine.refused = absl::FailedPreconditionError("not issued");
    return;
  }
  machine.token_id = issued->record.id.text();
  CompareTwin(*issued, *twin);
  if (delivery == Delivery::kTicket) {
    machine.credential = *issued->ticket;
  } else {
    machine.credential = GrantOf(*issued->token);
  }
  scheduler_.Signal(&machine);
}

void World::CompareTwin(const IssuedToken& issued,
                        const std::optional<IssuedToken>& twin) {
  if (!twin.has_value()) return;
  const std::string& id = issued.record.id.text();
  if (twin->uid == issued.uid) {
    const auto text = [](const IssuedToken& answer) {
      return std::string(answer.ticket.has_value()
                             ? answer.ticket->text().Reveal()
                             : answer.token->Joined().Reveal());
    };
    const bool same = text(issued) == text(*twin);
    if (!same) Complain("one request has two answers", id);
  } else if (!deleted_tokens_.contains(id) &&
             !deleted_tokens_.contains(twin->record.id.text()) &&
             !short_lives_) {
    Complain("one request has two tokens", id);
  }
}

void World::StartMachine(Machine& machine) {
  scheduler_.Kill(machine.group);
  machine.group = scheduler_.NewGroup();
  scheduler_.Spawn(machine.group, [this, &machine] { Join(machine); });
}

void World::Join(Machine& machine) {
  while (!machine.credential.has_value() && !machine.settled()) {
    scheduler_.Await(&machine, absl::InfiniteDuration());
  }
  SimulatedPace pace(scheduler_);
  BrokerCalls broker(*this, machine);
  while (!machine.settled()) TryToJoin(machine, broker, pace);
}

void World::TryToJoin(Machine& machine, BrokerCalls& broker,
                      SimulatedPace& pace) {
  latchkey::NodeJoiner joiner(
      {.node_name = machine.node_name,
       .credential = *machine.credential,
       .timeout = absl::Minutes(2)},
      {.broker = &broker,
       .api_servers = [this](const latchkey::ApiServerLogin& login)
           -> absl::StatusOr<std::unique_ptr<latchkey::KubernetesClient>> {
         const auto& token = std::get<BootstrapToken>(login.credential);
         return network_.ClientWithToken(std::string(token.Joined().Reveal()));
       },
       .files = machine.disk,
       .clock = machine.clock,
       .pace = pace,
       .on_progress = nullptr});
  const auto result = joiner.Run();
  if (result.ok()) {
    CheckCredential(machine);
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

// That a kubelet could use it, and it is this machine's and no other's.
void World::CheckCredential(const Machine& machine) {
  const latchkey::NodeCredential* held = machine.disk.current();
  const auto chain = latchkey::Certificate::ParseAll(
      held == nullptr ? "" : held->certificates_pem);
  const bool fits =
      chain.ok() &&
      chain->front().key_digest == machine.key.public_key_digest() &&
      held->key.public_key_digest() == machine.key.public_key_digest() &&
      chain->front().common_names ==
          std::vector<std::string>{"system:node:" + machine.node_name} &&
      chain->front().organizations == std::vector<std::string>{"system:nodes"};
  if (!fits) {
    Complain("a machine took a credential that is not its own",
             machine.node_name);
  }
}

// As its kubelet would, or not yet.
void World::RegisterNode(const Machine& machine) {
  if (scheduler_.Chance(0.3)) return;
  Node node;
  node.mutable_metadata()->set_name(machine.node_name);
  admin_->Create(node).status().IgnoreError();
}

// ---- what became of it ----------------------------------------------------

bool World::Settled() const {
  return std::all_of(
      machines_.begin(), machines_.end(), [](const auto& machine) {
        // A thief may have waited for nothing.
        const bool idle = machine->thief && !machine->credential.has_value();
        return machine->settled() || idle;
      });
}

bool World::Scrubbed() const { return !log_.HasUnspentCertificate(); }

bool World::IsExcused(const Machine& machine) {
  if (machine.thief || machine.id_reused ||
      deleted_tokens_.contains(machine.token_id)) {
    return true;
  }
  const TokenRecord* record = log_.LastRecord(machine.token_id);
  // Refused when it asked for a token: somebody has taken its own away, or its
  // time was over.
  if (record == nullptr) return short_lives_ || !deleted_tokens_.empty();
  if (short_lives_ && record->ExpiredAt(scheduler_.Now() + absl::Minutes(4))) {
    return true;
  }
  // A thief was noticed, was there first, or was when the machine was judged.
  if (record->state == TokenState::kRevoked) return machine.pursued;
  const auto& key = machine.key.public_key_digest();
  const auto bound = record->BoundKey();
  if (bound.has_value() && *bound != key) return true;
  if (machine.refused.has_value() &&
      latchkey::ReasonOf(*machine.refused) ==
          latchkey::reason::kTokenReserved &&
      log_.WasBoundToAnother(machine.token_id, key)) {
    return true;
  }
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
      Complain("an honest machine did not join",
               fmt::format(
                   "{}: {}", machine->node_name,
                   machine->refused.value_or(absl::UnknownError("never ended"))
                       .ToString()));
    } else {
      ++(machine->thief ? result_.refused_thieves : result_.excused);
    }
  }
  if (!thorough_) return;
  scheduler_.Run(scheduler_.Now() + kScrubPatience,
                 [this] { return Scrubbed(); });
  if (!Scrubbed()) {
    Complain("a token with a certificate was never spent", "");
  }
  std::vector<std::string> secrets = log_.Secrets();
  for (const auto& machine : machines_) {
    if (!machine->credential.has_value()) continue;
    if (const auto* ticket =
            std::get_if<latchkey::Ticket>(&*machine->credential)) {
      secrets.emplace_back(ticket->text().Reveal());
    }
  }
  audit_.Prove(secrets);
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
  result_.violations = violations_.all();
  result_.faults = faults_.drawn();
  result_.certificates = log_.certificates();
  result_.turns = scheduler_.turns();
  result_.trace = network_.trace();
  return std::move(result_);
}

}  // namespace latchkey_testing
