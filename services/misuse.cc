#include "services/misuse.h"

#include <string>
#include <utility>

#include <fmt/format.h>

#include "clients/log/event_log.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "core/text_time.h"
#include "crypto/random.h"
#include "storage/advance.h"

namespace latchkey {
namespace {

// The token is spent, or gone: there is nothing left to cut off.
bool IsPastHarm(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsFailedPrecondition(status);
}

}  // namespace

bool IsMisuse(std::string_view reason) {
  return reason == reason::kScopeNodeName ||
         reason == reason::kScopePublicKey ||
         reason == reason::kTicketAlreadyClaimed;
}

std::string CsrAttempt(std::string_view csr_name) {
  return fmt::format("csr {}", csr_name);
}

void MisuseGuard::Report(const StoredToken& token, const absl::Status& refusal,
                         std::string_view where) {
  const TokenRecord& record = token.record;
  const RefusedAttempt attempt{.reason = ReasonOf(refusal),
                               .by = std::string(where),
                               .time = WholeSeconds(clock_.Now())};
  const bool freeze = policy_.Current()->FreezesOnMisuse(record.rule);
  LogEvent(LogLevel::kWarning, "token misused",
           {{"token", record.id.text()},
            {"node", record.scope.node_name},
            {"provisioner", record.provisioner},
            {"reason", attempt.reason},
            {"by", attempt.by},
            {"freeze", freeze ? "true" : "false"}});
  AuditEvent event{
      .action = "token.misuse",
      .verdict = AuditVerdict::kDenied,
      .reason = attempt.reason,
      .rule = record.rule,
      .token_id = record.id.text(),
      .token_uid = token.uid,
      .facts = {{"by", attempt.by}, {"node", record.scope.node_name}}};
  // What goes on is a refusal, and a revocation: neither is left undone because
  // it cannot be recorded.
  audit_.Record(event).IgnoreError();
  if (freeze) {
    Freeze(token, attempt, std::move(event));
  } else {
    Note(token, attempt, TokenRecord::kMaxRefused);
  }
}

void MisuseGuard::NoteDenial(const StoredToken& token,
                             const absl::Status& refusal,
                             std::string_view csr_name) {
  const absl::Time now = clock_.Now();
  // Of one that has expired EXPIRED tells, as soon as somebody has removed it.
  if (!CheckUsable(token.record, now).ok()) return;
  Note(token,
       {.reason = ReasonOf(refusal),
        .by = CsrAttempt(csr_name),
        .time = WholeSeconds(now)},
       TokenRecord::kMaxRefusedOtherwise);
}

void MisuseGuard::Note(const StoredToken& token, const RefusedAttempt& attempt,
                       size_t room) {
  const absl::Status noted =
      Advance(
          store_, token.record.id,
          [&](const TokenRecord& at) { return NoteRefused(at, attempt, room); },
          token)
          .status();
  if (noted.ok() || IsPastHarm(noted)) return;
  LogEvent(LogLevel::kWarning, "refused attempt not noted on the record",
           {{"token", token.record.id.text()}, {"status", noted.ToString()}});
}

void MisuseGuard::Freeze(const StoredToken& token,
                         const RefusedAttempt& attempt, AuditEvent event) {
  const TokenId& id = token.record.id;
  const Revocation revocation{.who = "latchkey",
                              .why = fmt::format("misuse: {}", attempt.reason),
                              .time = attempt.time};
  const SecretString stand_in = RandomBase36(BootstrapToken::kSecretLength);
  const auto revoked = Advance(
      store_, id,
      [&](const TokenRecord& at) { return Revoke(at, revocation, stand_in); },
      token);
  if (revoked.ok()) {
    if (revoked->record.revocation != revocation) return;  // another's
    event.action = "token.revoke";
    event.verdict = AuditVerdict::kAllowed;
    audit_.Record(event).IgnoreError();
    LogEvent(LogLevel::kInfo, "token revoked", {{"token", id.text()}});
  } else if (!IsPastHarm(revoked.status())) {
    LogEvent(LogLevel::kError, "token not revoked",
             {{"token", id.text()}, {"status", revoked.status().ToString()}});
  }
}

}  // namespace latchkey
