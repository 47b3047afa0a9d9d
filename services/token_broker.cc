#include "services/token_broker.h"

#include <algorithm>
#include <utility>

#include <absl/status/status.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "clients/log/event_log.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "core/status_macros.h"
#include "core/text_time.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "services/csr_rules.h"
#include "services/observed_refusal.h"
#include "storage/advance.h"

namespace latchkey {
namespace {

constexpr size_t kMinRequestIdLength = 8;
constexpr size_t kMaxRequestIdLength = 64;
// Probes of one request: with 10^5 tokens alive, a sixth clash in a row has a
// chance of 10^-22.
constexpr int kMaxProbes = 6;
// Tries to settle one write whose outcome is unknown.
constexpr int kMaxTries = 3;

absl::Status ValidateRequest(const IssueRequest& request) {
  LATCHKEY_RETURN_IF_ERROR(ValidateScope(request.scope));
  LATCHKEY_RETURN_IF_ERROR(ValidateLabels(request.labels));
  const std::string_view id = request.request_id.Reveal();
  const bool printable = std::all_of(
      id.begin(), id.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  if (!id.empty() && (id.size() < kMinRequestIdLength ||
                      id.size() > kMaxRequestIdLength || !printable)) {
    return InvalidField("request_id",
                        "8 to 64 printable ASCII characters without spaces");
  }
  if (request.lifetime.has_value()) {
    const absl::Duration lifetime = *request.lifetime;
    if (lifetime < kMinTokenLifetime || lifetime > kMaxTokenLifetime ||
        lifetime != absl::Trunc(lifetime, absl::Seconds(1))) {
      return InvalidField("lifetime",
                          "from 1 minute to 7 days, in whole seconds");
    }
  }
  return absl::OkStatus();
}

std::string OptionalSeconds(const std::optional<absl::Duration>& duration) {
  return duration.has_value() ? absl::FormatDuration(*duration) : "";
}

// All that was asked for, as asked: a policy that changes between a request and
// its repetition does not make them two.
std::string DigestOf(const IssueRequest& request) {
  const TokenScope& scope = request.scope;
  return DigestOfParts(
      "latchkey request v1",
      {scope.node_name, fmt::format("{}", fmt::join(scope.groups, ",")),
       OptionalSeconds(scope.max_certificate_lifetime),
       scope.key_digest.value_or(""),
       scope.allow_node_replacement ? "replace" : "",
       DeliveryName(request.delivery), OptionalSeconds(request.lifetime),
       FormatLabels(request.labels)});
}

}  // namespace

std::string RequestKey(std::string_view provisioner,
                       std::string_view request_id) {
  return DigestOfParts("latchkey request key v1", {provisioner, request_id});
}

// One request on its way: what does not depend on the probe.
struct TokenBroker::Mint {
  std::string provisioner;
  IdentityKind provisioner_kind;
  TokenLabels labels;
  SecretString request_id;
  std::string request_key;
  std::string request_digest;
  PolicyGrant grant;
  Delivery delivery;

  // The id of the n-th probe. Deriving it makes the create its own lock: a
  // repetition on any replica meets the first one's Secret.
  TokenId IdOfProbe(int probe) const {
    const SecretString text =
        DeriveBase36("latchkey token id v1",
                     {provisioner, request_id.Reveal(), std::to_string(probe)},
                     TokenId::kLength);
    return *TokenId::Parse(text.Reveal());
  }

  // What its record says whether it is written or not.
  TokenRecord RecordAt(int probe, absl::Time now) const {
    TokenRecord record{.id = IdOfProbe(probe)};
    record.delivery = delivery;
    record.scope = grant.scope;
    record.provisioner = provisioner;
    record.provisioner_kind = provisioner_kind;
    record.labels = labels;
    record.rule = grant.rule;
    record.expire_time = WholeSeconds(now) + grant.lifetime;
    return record;
  }

  // The ticket of this request for a record with `salt`. Whoever repeats the
  // request gets the same ticket, and it takes both halves to make it: the
  // salt, which only the Secret has, and the request_id, which it has not.
  absl::StatusOr<Ticket> TicketFor(const TokenId& id,
                                   const SecretString& salt) const {
    return Ticket::FromSecret(
        id, DeriveBase36(
                "latchkey ticket v1",
                {id.text(), salt.Reveal(), provisioner, request_id.Reveal()},
                Ticket::kSecretLength));
  }
};

absl::StatusOr<IssuedToken> TokenBroker::Issue(const Identity& caller,
                                               const IssueRequest& request) {
  LATCHKEY_RETURN_IF_ERROR(ValidateRequest(request));
  LATCHKEY_ASSIGN_OR_RETURN(
      PolicyGrant grant,
      policy_.Current()->Decide(caller, {.scope = request.scope,
                                         .delivery = request.delivery,
                                         .lifetime = request.lifetime,
                                         .labels = request.labels}));
  LogObserved(grant.observed, caller.name, grant.scope.node_name, grant.rule);
  Mint mint{.provisioner = caller.name,
            .provisioner_kind = caller.kind,
            .labels = request.labels,
            .request_id = request.request_id,
            .request_key = {},
            .request_digest = DigestOf(request),
            .grant = std::move(grant),
            .delivery = request.delivery};
  if (mint.request_id.empty()) {
    mint.request_id = RandomBase36(32);
  }
  mint.request_key = RequestKey(mint.provisioner, mint.request_id.Reveal());
  absl::StatusOr<IssuedToken> issued =
      request.validate_only
          ? Preview(mint)
          : MintWithinQuota(mint, !request.request_id.empty());
  if (issued.ok() && !mint.grant.observed.ok()) {
    issued->observed = mint.grant.observed;
  }
  return issued;
}

IssuedToken TokenBroker::Preview(const Mint& mint) const {
  return {.record = mint.RecordAt(0, clock_.Now()), .ticket = {}, .token = {}};
}

absl::StatusOr<IssuedToken> TokenBroker::MintWithinQuota(const Mint& mint,
                                                         bool may_repeat) {
  RecordIndex::Place place;
  absl::Status observed;
  if (mint.grant.max_outstanding.has_value()) {
    auto taken = index_.Take({.provisioner = mint.provisioner,
                              .rule = mint.grant.rule,
                              .max_outstanding = *mint.grant.max_outstanding},
                             mint.IdOfProbe(0), mint.request_key, clock_.Now());
    if (taken.ok()) {
      place = *std::move(taken);
    } else if (mint.grant.mode == PolicyMode::kEnforce) {
      return may_repeat ? ReplayOr(mint, taken.status()) : taken.status();
    } else if (ReasonOf(taken.status()) == reason::kQuotaOutstanding) {
      observed = taken.status();
    }
  }
  return InsertOrReplay(mint, std::move(place), observed);
}

absl::StatusOr<IssuedToken> TokenBroker::ReplayOr(const Mint& mint,
                                                  const absl::Status& refusal) {
  for (int probe = 0; probe < kMaxProbes; ++probe) {
    const auto found = store_.Find(mint.IdOfProbe(probe));
    if (found.ok() && found->record.request_key == mint.request_key) {
      return Replay(mint, *found);
    }
    if (absl::IsNotFound(found.status())) return refusal;
    if (!found.ok() && !absl::IsFailedPrecondition(found.status())) {
      return found.status();
    }
  }
  return refusal;
}

absl::StatusOr<IssuedToken> TokenBroker::InsertOrReplay(
    const Mint& mint, RecordIndex::Place place, const absl::Status& observed) {
  absl::Status last = absl::InternalError("every token id probed is taken");
  int tries = 0;
  for (int probe = 0; probe < kMaxProbes && tries < kMaxTries;) {
    TokenRecord record = mint.RecordAt(probe, clock_.Now());
    const bool by_ticket = mint.delivery == Delivery::kTicket;
    record.state = by_ticket ? TokenState::kIssued : TokenState::kActive;
    record.secret = RandomBase36(BootstrapToken::kSecretLength);
    record.groups = {options_.token_group};
    record.groups.insert(record.groups.end(), record.scope.groups.begin(),
                         record.scope.groups.end());
    record.request_key = mint.request_key;
    record.request_digest = mint.request_digest;
    IssuedToken issued{.record = record, .ticket = {}, .token = {}};
    if (by_ticket) {
      record.ticket_salt = RandomBase36(Ticket::kSecretLength);
      LATCHKEY_ASSIGN_OR_RETURN(Ticket ticket,
                                mint.TicketFor(record.id, record.ticket_salt));
      record.ticket_digest = Sha256Hex(ticket.text().Reveal());
      issued.ticket = std::move(ticket);
    } else {
      LATCHKEY_ASSIGN_OR_RETURN(
          issued.token, BootstrapToken::FromParts(record.id, record.secret));
    }
    const absl::StatusOr<StoredToken> inserted = store_.Insert(record);
    if (inserted.ok()) {
      place.Keep();
      index_.Written(record.id);
      LogObserved(observed, mint.provisioner, record.scope.node_name,
                  record.rule);
      issued.observed = observed;
      issued.record = inserted->record;
      issued.uid = inserted->uid;
      LogEvent(LogLevel::kInfo, "token issued",
               {{"token", record.id.text()},
                {"node", record.scope.node_name},
                {"provisioner", record.provisioner},
                {"rule", record.rule},
                {"delivery", std::string(DeliveryName(record.delivery))}});
      return issued;
    }
    last = inserted.status();
    if (!absl::IsAlreadyExists(last) && !OutcomeIsUnknown(last)) return last;
    if (OutcomeIsUnknown(last)) {
      ++tries;
      // It may have been written, or be on its way yet, whatever is read.
      place.Keep();
    }
    // Something has the id, or may have it by now: whose is it?
    const absl::StatusOr<StoredToken> found = store_.Find(record.id);
    if (found.ok() && found->record.request_key == mint.request_key) {
      return Replay(mint, *found);
    }
    if (found.ok() || absl::IsFailedPrecondition(found.status())) {
      ++probe;  // somebody else's
    } else if (absl::IsNotFound(found.status())) {
      // Never written, or removed since: the same id is free to take.
      if (!OutcomeIsUnknown(last)) ++tries;
    } else {
      return found.status();  // nobody knows whether it was written
    }
  }
  return last;
}

absl::StatusOr<IssuedToken> TokenBroker::Replay(const Mint& mint,
                                                const StoredToken& token) {
  const TokenRecord& record = token.record;
  if (record.request_digest != mint.request_digest) {
    return Refuse(absl::StatusCode::kAlreadyExists, reason::kRequestIdReused,
                  fmt::format("this request_id was used for token {} with "
                              "another request; use a new one",
                              record.id.text()),
                  {{"field", "request_id"}, {"token", record.id.text()}});
  }
  LATCHKEY_RETURN_IF_ERROR(CheckUsable(record, clock_.Now()));
  IssuedToken issued{
      .record = record, .uid = token.uid, .ticket = {}, .token = {}};
  if (record.delivery == Delivery::kTicket) {
    LATCHKEY_ASSIGN_OR_RETURN(issued.ticket,
                              mint.TicketFor(record.id, record.ticket_salt));
    if (!ConstantTimeEquals(Sha256Hex(issued.ticket->text().Reveal()),
                            record.ticket_digest)) {
      return absl::InternalError(fmt::format(
          "token {}: its record does not fit its ticket", record.id.text()));
    }
  } else {
    LATCHKEY_ASSIGN_OR_RETURN(
        issued.token, BootstrapToken::FromParts(record.id, record.secret));
  }
  LogEvent(LogLevel::kInfo, "token issued again",
           {{"token", record.id.text()}, {"provisioner", record.provisioner}});
  return issued;
}

absl::StatusOr<ClaimedToken> TokenBroker::Claim(
    const ClaimTokenRequest& request) {
  const absl::StatusOr<Ticket> ticket = Ticket::Parse(request.ticket.Reveal());
  if (!ticket.ok()) {
    return Refuse(absl::StatusCode::kInvalidArgument, reason::kTicketMalformed,
                  std::string(ticket.status().message()),
                  {{"field", "ticket"}});
  }
  LATCHKEY_ASSIGN_OR_RETURN(const CertificateRequest csr,
                            CheckRequest(request.csr_pem, request.node_name));
  const absl::Status unknown =
      Refuse(absl::StatusCode::kNotFound, reason::kTicketUnknown,
             "no such ticket: it is wrong, expired or long spent");
  absl::StatusOr<StoredToken> token = store_.Find(ticket->id());
  if (absl::IsNotFound(token.status()) ||
      absl::IsFailedPrecondition(token.status())) {
    return unknown;
  }
  LATCHKEY_RETURN_IF_ERROR(token.status());
  if (!ConstantTimeEquals(Sha256Hex(ticket->text().Reveal()),
                          token->record.ticket_digest)) {
    return unknown;
  }
  // From here on the caller holds the ticket, and may hear what is wrong.
  const ClaimRequest claim{.node_name = request.node_name,
                           .key_digest = csr.key_digest,
                           .claimant = request.peer};
  const absl::Time now = WholeSeconds(clock_.Now());
  const StoredToken seen = *token;
  const auto claimed = Advance(
      store_, ticket->id(),
      [&](const TokenRecord& record) {
        return latchkey::Claim(record, claim, now, options_.join_window);
      },
      *std::move(token));
  if (!claimed.ok()) {
    if (IsMisuse(ReasonOf(claimed.status()))) {
      misuse_.Report(seen, claimed.status(), "peer " + request.peer);
    }
    return absl::IsNotFound(claimed.status()) ? unknown : claimed.status();
  }
  LogEvent(LogLevel::kInfo, "ticket claimed",
           {{"token", seen.record.id.text()},
            {"node", seen.record.scope.node_name},
            {"key", csr.key_digest},
            {"peer", request.peer}});
  LATCHKEY_ASSIGN_OR_RETURN(
      BootstrapToken answer,
      BootstrapToken::FromParts(claimed->record.id, claimed->record.secret));
  return ClaimedToken{.token = std::move(answer),
                      .record = claimed->record,
                      .uid = claimed->uid};
}

}  // namespace latchkey
