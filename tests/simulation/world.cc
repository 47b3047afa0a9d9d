#include "tests/simulation/world.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "crypto/certificate.h"
#include "devcluster/user.h"
#include "kubernetes/core.pb.h"
#include "tests/simulation/heard_lines.h"

namespace latchkey_testing {

using latchkey::BootstrapGrant;
using latchkey::BootstrapToken;
using latchkey::NodeClaim;
using latchkey::TokenRecord;
using latchkey::TokenState;
using Node = latchkey::kubernetes::Node;

namespace {

const absl::Time kBegin = absl::FromUnixSeconds(1'800'000'000);
constexpr absl::Duration kTroubledTime = absl::Seconds(60);
constexpr absl::Duration kPatience = absl::Minutes(30);
constexpr absl::Duration kScrubPatience = absl::Minutes(10);
constexpr uint64_t kThoroughEvery = 16;
// Of the tokens that have one; longer than a history.
constexpr absl::Duration kCertificateLifetime = absl::Hours(8);
// A history has some 1,500.
constexpr uint64_t kMaxTurns = 1'000'000;
// A machine that is there for so long, and the API server too, fetches the
// certificate that is there for it: the longest pause between two attempts.
constexpr absl::Duration kFetchTime = absl::Seconds(20);

const latchkey::CertificateAuthority& Authority() {
  static const auto authority = latchkey::CertificateAuthority::Create(
      "simulated cluster", kBegin - absl::Hours(24),
      kBegin + absl::Hours(24 * 365));
  return *authority;
}

// Of its PEM form, what no other key has.
std::string SecretLineOf(const latchkey::PrivateKey& key) {
  const std::string pem(key.ToPem().Reveal());
  const size_t begin = pem.find('\n') + 1;
  const size_t line_end = pem.find('\n', begin);
  return pem.substr(line_end + 1, pem.find('\n', line_end + 1) - line_end - 1);
}

// Of a ticket, what is in no other text that may be told.
std::string SecretPartOf(const latchkey::Ticket& ticket) {
  constexpr size_t kSecret =
      latchkey::Ticket::kPrefix.size() + latchkey::TokenId::kLength + 1;
  return std::string(
      ticket.text().Reveal().substr(kSecret, latchkey::Ticket::kSecretLength));
}

}  // namespace

// What a machine's joiner asks of brokers: any of them, each time.
class World::BrokerCalls final : public latchkey::BrokerClient {
 public:
  BrokerCalls(World& world, Machine& machine)
      : world_(world), machine_(machine) {}

  absl::StatusOr<BootstrapGrant> Claim(const NodeClaim& claim,
                                       absl::Duration /*timeout*/) override {
    const absl::Time begin = world_.scheduler_.Now();
    const auto answer = world_.Ask<latchkey::ClaimedToken>(
        "claim", machine_.node_name, CallKind::kWrites,
        [claim](const BrokerServices& at) {
          return at.tokens.Claim({.ticket = claim.ticket.text(),
                                  .node_name = claim.node_name,
                                  .csr_pem = claim.csr_pem,
                                  .peer = "simulated"});
        });
    if (latchkey::OutcomeIsUnknown(answer.status())) {
      machine_.away.Add(begin, world_.scheduler_.Now());
    }
    const std::string reason = latchkey::ReasonOf(answer.status());
    const std::string& id = claim.ticket.id().text();
    if (MeansMisuse(reason) && !world_.audit_.SaysMisuse(id, reason)) {
      world_.Complain("misused and not audited", fmt::format("token {}", id));
    }
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
    return GrantOf(answer->token, answer->record.scope);
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
      log_(scheduler_, audit_, violations_),
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
      policy_(SimulatedPolicy(scheduler_)),
      terms_(options.seed),
      short_lives_(scheduler_.Chance(0.15)) {
  if (options.trace) network_.PrintTrace();
  if (thorough_) log_.KeepTexts();
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

// As the broker's answer to a claim has it, or the provisioner hands it over.
BootstrapGrant World::GrantOf(const BootstrapToken& token,
                              const latchkey::TokenScope& scope) {
  return {
      .token = token,
      .api_servers = {"https://api.example:6443"},
      .ca_pem = Authority().certificate_pem(),
      .certificate_expiration_seconds = static_cast<int>(absl::ToInt64Seconds(
          scope.max_certificate_lifetime.value_or(absl::ZeroDuration())))};
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
  std::vector<Machine*> machines;
  for (int i = 0; i < options_.nodes; ++i) {
    machines.push_back(&PlanMachine(i, key++));
  }
  PlanProvisioning(machines);
  for (int i = 0; i < options_.nodes; ++i) {
    Machine& victim = *machines_[static_cast<size_t>(i)];
    if (network_.Strike(Dose(0.3), "a rogue, after", victim.node_name)) {
      PlanRogue(victim, key++);
    }
    if (network_.Strike(Dose(0.2), "an order, about", victim.node_name)) {
      PlanOrders(victim);
    }
    if (network_.Strike(Dose(0.1), "a stranger asks for", victim.node_name)) {
      PlanStranger(victim);
    }
  }
}

Machine& World::PlanMachine(int number, size_t key) {
  machines_.push_back(std::make_unique<Machine>(
      scheduler_, fmt::format("worker-{}", number), key));
  Machine& machine = *machines_.back();
  machine.scope = ScopeOf(machine);
  if (network_.Strike(Dose(0.15), "a wrong clock at", machine.node_name)) {
    machine.clock.SetSkew(absl::Minutes(8) * (faults_.Fraction() - 0.5));
  }
  StartMachine(machine);
  return machine;
}

// Of some machines the provisioner knows the key beforehand.
latchkey::TokenScope World::ScopeOf(const Machine& machine) {
  latchkey::TokenScope scope{.node_name = machine.node_name};
  if (terms_() % 10 < 3) {
    scope.max_certificate_lifetime = kCertificateLifetime;
  }
  if (terms_() % 10 < 3) scope.key_digest = machine.key.public_key_digest();
  return scope;
}

void World::StartMachine(Machine& machine) {
  scheduler_.Kill(machine.group);
  machine.group = scheduler_.NewGroup();
  machine.groups.insert(machine.group);
  machine.away.End(scheduler_.Now());
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

bool World::WasAwayFor(const Machine& machine, absl::Time from,
                       absl::Time to) const {
  // The longest time in which it was there, and the API server too, and no
  // request of its own was in vain.
  auto absences = machine.away.past();
  const auto& others = api_server_away_.past();
  absences.insert(absences.end(), others.begin(), others.end());
  for (const auto& [group, time] : network_.failures()) {
    if (machine.groups.contains(group)) absences.emplace_back(time, time);
  }
  absences.emplace_back(to, to);
  std::sort(absences.begin(), absences.end());
  absl::Duration longest;
  for (const auto& [begin, end] : absences) {
    longest = std::max(longest, std::min(begin, to) - from);
    from = std::max(from, end);
  }
  return longest < kFetchTime;
}

bool World::IsExcused(const Machine& machine) {
  if (machine.thief || log_.MayBeDeleted(machine.token_id)) return true;
  const bool issued = !machine.token_id.empty();
  // The other one came first.
  if (machine.id_reused && !issued) return true;
  const TokenRecord* record = issued ? log_.LastRecord(machine.token_id)
                                     : log_.LastRecordOfNode(machine.node_name);
  if (record == nullptr) return false;
  // Its time was over, or was by a broker's wrong clock before an extension.
  const absl::Time latest = scheduler_.Now() + absl::Minutes(4);
  if (short_lives_ &&
      (record->ExpiredAt(latest) || log_.WasRemoved(record->id.text()) ||
       (machine.refused.has_value() && latchkey::ReasonOf(*machine.refused) ==
                                           latchkey::reason::kTokenExpired))) {
    return true;
  }
  // A manager wanted it so, or a thief was noticed.
  if (record->state == TokenState::kRevoked) {
    return record->revocation->who != "latchkey" || machine.pursued;
  }
  // A thief was there first, or was when the machine was judged.
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
  // Somebody who has its key as well asked first, in another name.
  if (record->state == TokenState::kSpent &&
      record->reservation->csr_name.substr(0, kRogueCsr.size()) == kRogueCsr) {
    return true;
  }
  // Away while its certificate was there to be fetched: the grace was over, or
  // a broker's clock said so.
  const auto fetch = log_.FetchTimeOf(machine.token_id);
  return fetch.has_value() && WasAwayFor(machine, fetch->from, fetch->to);
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
  GiveTurns(scheduler_.Now() + kScrubPatience, [this] { return Scrubbed(); });
  if (!Scrubbed()) {
    Complain("a token with a certificate was never spent", "");
  }
  audit_.Prove();
  LookForSecrets();
}

// In all that was logged, audited, answered with an error, or written where
// many may read it.
void World::LookForSecrets() {
  std::vector<std::string> secrets = log_.Secrets();
  for (const auto& machine : machines_) {
    secrets.push_back(SecretLineOf(machine->key));
    for (const bool trial : {false, true}) {
      secrets.emplace_back(RequestIdOf(*machine, trial).Reveal());
    }
    if (machine->refused.has_value()) {
      told_.push_back(machine->refused->ToString());
    }
    if (!machine->credential.has_value()) continue;
    if (const auto* ticket =
            std::get_if<latchkey::Ticket>(&*machine->credential)) {
      secrets.push_back(SecretPartOf(*ticket));
    }
  }
  const auto look = [&](std::string_view where,
                        const std::vector<std::string>& texts) {
    for (const std::string& secret : secrets) {
      const bool found =
          std::any_of(texts.begin(), texts.end(), [&](const std::string& text) {
            return text.find(secret) != std::string::npos;
          });
      if (found) Complain(fmt::format("a secret is in {}", where), secret);
    }
  };
  look("the audit log", audit_.Texts());
  look("a line of the log", HeardLines());
  look("an error", told_);
  look("what many may read", log_.PublicTexts());
}

bool World::GoesRound() const { return scheduler_.turns() >= kMaxTurns; }

void World::GiveTurns(absl::Time until, const std::function<bool()>& done) {
  scheduler_.Run(until, [&] { return GoesRound() || done(); });
}

HistoryResult World::Run() {
  network_.SetRates(Troubled());
  HearLines(thorough_);
  Plan();
  scheduler_.Spawn(scheduler_.NewGroup(), [this] { MakeTrouble(); });
  scheduler_.Spawn(scheduler_.NewGroup(), [this] { MakeTrouble(); });
  GiveTurns(kBegin + kTroubledTime, [] { return false; });
  MakePeace();
  GiveTurns(kBegin + kTroubledTime + kPatience, [this] { return Settled(); });
  if (GoesRound()) {
    Complain("it goes round and round", fmt::format("{} turns", kMaxTurns));
  } else {
    Judge();
  }
  result_.violations = violations_.all();
  result_.faults = faults_.drawn();
  result_.certificates = log_.certificates();
  result_.turns = scheduler_.turns();
  return std::move(result_);
}

}  // namespace latchkey_testing
