// Who wants what is not theirs: thieves with a ticket or a token, whoever
// guesses, whoever holds a token and asks for more than it is for, and a
// provisioner that mixes up its requests.

#include <array>
#include <string>

#include <fmt/format.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "crypto/certificate_request.h"
#include "kubernetes/certificates.pb.h"
#include "tests/simulation/world.h"

namespace latchkey_testing {

using latchkey::BootstrapToken;
using latchkey::ClaimedToken;
using latchkey::Delivery;
using latchkey::KubernetesClient;
using latchkey::PrivateKey;
using latchkey::Ticket;
using latchkey::TokenRecord;
using latchkey::TokenState;
using Csr = latchkey::kubernetes::CertificateSigningRequest;

namespace {

constexpr char kSigner[] = "kubernetes.io/kube-apiserver-client-kubelet";

std::string RequestOf(const PrivateKey& key, std::string_view node_name,
                      std::vector<std::string> organizations,
                      std::vector<std::string> dns_names) {
  return latchkey::BuildCertificateRequest(
             key, {.common_name = fmt::format("system:node:{}", node_name),
                   .organizations = std::move(organizations),
                   .dns_names = std::move(dns_names)})
      .value();
}

// What a token is not for, one thing at a time.
enum class Excess {
  kName,
  kMasters,
  kDnsName,
  kServer,
  kLifetime,
  kNoLifetime,
  kOtherKey,
  kAgain,
  kAll,
};

Csr CsrFor(Excess excess, const PrivateKey& key,
           const latchkey::TokenScope& scope) {
  Csr csr;
  auto& spec = *csr.mutable_spec();
  spec.set_signer_name(kSigner);
  spec.add_usages("digital signature");
  spec.add_usages(excess == Excess::kServer ? "server auth" : "client auth");
  const auto& most = scope.max_certificate_lifetime;
  if (most.has_value() && excess != Excess::kNoLifetime) {
    const absl::Duration beyond =
        excess == Excess::kLifetime ? absl::Seconds(1) : absl::ZeroDuration();
    spec.set_expiration_seconds(
        static_cast<int32_t>(absl::ToInt64Seconds(*most + beyond)));
  }
  std::vector<std::string> organizations = {"system:nodes"};
  if (excess == Excess::kMasters) organizations.push_back("system:masters");
  std::vector<std::string> dns_names;
  if (excess == Excess::kDnsName) dns_names.push_back("api.example");
  spec.set_request(RequestOf(
      key, excess == Excess::kName ? "control-plane-0" : scope.node_name,
      std::move(organizations), std::move(dns_names)));
  return csr;
}

}  // namespace

void World::PlanRogue(Machine& victim, size_t key) {
  victim.pursued = true;
  switch (faults_.Below(8)) {
    case 0:
      return PlanGuesser(victim);
    case 1:
    case 2:
    case 3:
      return PlanHolder(victim, key);
    case 4:
      return PlanConfused(victim);
    default:
      return PlanThief(victim, key);
  }
}

void World::AwaitCredential(const Machine& victim) {
  while (!victim.credential.has_value()) {
    scheduler_.Await(&victim, absl::InfiniteDuration());
  }
}

// Gets what `victim` has, a while later, and joins with it.
void World::PlanThief(Machine& victim, size_t key) {
  machines_.push_back(std::make_unique<Machine>(
      scheduler_, faults_.Fraction() < 0.5 ? victim.node_name : "thief-1",
      key));
  Machine& thief = *machines_.back();
  thief.thief = true;
  const absl::Duration after = faults_.UpTo(
      faults_.Fraction() < 0.5 ? absl::Milliseconds(30) : absl::Seconds(20));
  const bool by_token = faults_.Fraction() < 0.5;
  scheduler_.Spawn(scheduler_.NewGroup(), [this, &victim, &thief, after,
                                           by_token] {
    AwaitCredential(victim);
    scheduler_.Sleep(after);
    thief.credential = victim.credential;
    thief.token_id = victim.token_id;
    const TokenRecord* record = log_.LastRecord(victim.token_id);
    if (by_token && record != nullptr && record->state != TokenState::kIssued) {
      const auto token = BootstrapToken::FromParts(record->id, record->secret);
      if (token.ok()) thief.credential = GrantOf(*token, record->scope);
    }
    scheduler_.Signal(&thief);
  });
  StartMachine(thief);
}

// Knows the token's id, which is no secret, and makes a ticket of it.
void World::PlanGuesser(Machine& victim) {
  scheduler_.Spawn(scheduler_.NewGroup(), [this, &victim] {
    AwaitCredential(victim);
    const auto id = latchkey::TokenId::Parse(victim.token_id);
    const auto guess = Ticket::FromSecret(
        *id, latchkey::SecretString(std::string(Ticket::kSecretLength, 'a')));
    const std::string request =
        RequestOf(PooledKey(0), victim.node_name, {"system:nodes"}, {});
    const auto answer =
        Ask<ClaimedToken>("guess", victim.node_name, CallKind::kReads,
                          [ticket = *guess, name = victim.node_name,
                           request](const BrokerServices& at) {
                            return at.tokens.Claim({.ticket = ticket.text(),
                                                    .node_name = name,
                                                    .csr_pem = request,
                                                    .peer = "guesser"});
                          });
    if (answer.ok()) Complain("a guessed ticket was taken", victim.node_name);
  });
}

// Holds the victim's token, and asks the cluster with it, with the victim's own
// key (as root on the machine can) or another.
void World::PlanHolder(const Machine& victim, size_t key) {
  const absl::Duration after = faults_.UpTo(absl::Seconds(8));
  scheduler_.Spawn(scheduler_.NewGroup(), [this, &victim, key, after] {
    AwaitCredential(victim);
    scheduler_.Sleep(after);
    const TokenRecord* record = log_.LastRecord(victim.token_id);
    while (record != nullptr && record->state == TokenState::kIssued) {
      scheduler_.Sleep(absl::Milliseconds(500));
      if (peace_) return;
      record = log_.LastRecord(victim.token_id);
    }
    if (record == nullptr) return;
    const auto token = BootstrapToken::FromParts(record->id, record->secret);
    if (!token.ok()) return;
    const auto client =
        network_.ClientWithToken(std::string(token->Joined().Reveal()));
    AskForTooMuch(victim, *client, PooledKey(key));
  });
}

void World::AskForTooMuch(const Machine& victim, KubernetesClient& client,
                          const PrivateKey& key) {
  for (int i = 0; i < 3; ++i) {
    const auto excess =
        static_cast<Excess>(faults_.Below(static_cast<uint64_t>(Excess::kAll)));
    const bool own_key = excess == Excess::kAgain ||
                         (excess != Excess::kOtherKey && faults_.Below(2) == 0);
    Csr csr = CsrFor(excess, own_key ? victim.key : key, victim.scope);
    csr.mutable_metadata()->set_name(fmt::format("{}{}-{}-{}", kRogueCsr,
                                                 victim.node_name, i,
                                                 static_cast<int>(excess)));
    client.Create(csr).status().IgnoreError();
    scheduler_.Sleep(faults_.UpTo(absl::Seconds(2)));
  }
}

// Asks for another machine with a request_id that was used.
void World::PlanConfused(Machine& victim) {
  victim.id_reused = true;
  const absl::Duration after = faults_.UpTo(absl::Seconds(25));
  scheduler_.Spawn(scheduler_.NewGroup(), [this, &victim, after] {
    scheduler_.Sleep(after);
    auto request = RequestFor(victim, Delivery::kTicket);
    request.scope.node_name = "mistaken-for-" + victim.node_name;
    IssueUntilAnswered(request, true);
  });
}

}  // namespace latchkey_testing
