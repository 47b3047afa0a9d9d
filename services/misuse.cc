#include "services/misuse.h"

#include <string>

#include <fmt/format.h>

#include "clients/log/event_log.h"
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

void MisuseGuard::Report(const StoredToken& token, const absl::Status& refusal,
                         std::string_view where) {
  const TokenRecord& record = token.record;
  const bool freeze = policy_.Current()->FreezesOnMisuse(record.rule);
  LogEvent(LogLevel::kWarning, "token misused",
           {{"token", record.id.text()},
            {"node", record.scope.node_name},
            {"provisioner", record.provisioner},
            {"reason", ReasonOf(refusal)},
            {"by", std::string(where)},
            {"freeze", freeze ? "true" : "false"}});
  AuditEvent event{
      .action = "token.misuse",
      .verdict = AuditVerdict::kDenied,
      .reason = ReasonOf(refusal),
      .rule = record.rule,
      .token_id = record.id.text(),
      .token_uid = token.uid,
      .facts = {{"by", std::string(where)}, {"node", record.scope.node_name}}};
  // What goes on is a refusal, and a revocation: neither is left undone because
  // it cannot be recorded.
  audit_.Record(event).IgnoreError();
  const absl::Time now = WholeSeconds(clock_.Now());
  if (!freeze) {
    const Misuse misuse{
        .reason = ReasonOf(refusal), .by = std::string(where), .time = now};
    const auto noted = Advance(
        store_, record.id,
        [&](const TokenRecord& at) { return NoteMisuse(at, misuse); }, token);
    if (!noted.ok() && !IsPastHarm(noted.status())) {
      LogEvent(
          LogLevel::kWarning, "misuse not noted on the record",
          {{"token", record.id.text()}, {"status", noted.status().ToString()}});
    }
    return;
  }
  const Revocation revocation{
      .who = "latchkey",
      .why = fmt::format("misuse: {}", ReasonOf(refusal)),
      .time = now};
  const SecretString stand_in = RandomBase36(BootstrapToken::kSecretLength);
  const auto revoked = Advance(
      store_, record.id,
      [&](const TokenRecord& at) { return Revoke(at, revocation, stand_in); },
      token);
  if (revoked.ok()) {
    if (revoked->record.revocation != revocation) return;  // another's
    event.action = "token.revoke";
    event.verdict = AuditVerdict::kAllowed;
    audit_.Record(event).IgnoreError();
    LogEvent(LogLevel::kInfo, "token revoked", {{"token", record.id.text()}});
  } else if (!IsPastHarm(revoked.status())) {
    LogEvent(
        LogLevel::kError, "token not revoked",
        {{"token", record.id.text()}, {"status", revoked.status().ToString()}});
  }
}

}  // namespace latchkey
