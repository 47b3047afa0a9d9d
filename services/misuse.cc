#include "services/misuse.h"

#include <string>

#include <fmt/format.h>

#include "clients/log/event_log.h"
#include "core/refusal.h"
#include "core/text_time.h"
#include "crypto/random.h"
#include "storage/advance.h"

namespace latchkey {

void MisuseGuard::Report(const TokenRecord& token, const absl::Status& refusal,
                         std::string_view where) {
  const bool freeze = policy_.Current()->FreezesOnMisuse(token.rule);
  LogEvent(LogLevel::kWarning, "token misused",
           {{"token", token.id.text()},
            {"node", token.scope.node_name},
            {"provisioner", token.provisioner},
            {"reason", ReasonOf(refusal)},
            {"by", std::string(where)},
            {"freeze", freeze ? "true" : "false"}});
  AuditEvent event{
      .action = "token.misuse",
      .verdict = AuditVerdict::kDenied,
      .reason = ReasonOf(refusal),
      .rule = token.rule,
      .token_id = token.id.text(),
      .facts = {{"by", std::string(where)}, {"node", token.scope.node_name}}};
  // What goes on is a refusal, and a revocation: neither is left undone because
  // it cannot be recorded.
  audit_.Record(event).IgnoreError();
  const absl::Time now = WholeSeconds(clock_.Now());
  if (!freeze) {
    const Misuse misuse{
        .reason = ReasonOf(refusal), .by = std::string(where), .time = now};
    const auto noted = Advance(
        store_, token.id,
        [&](const TokenRecord& record) { return NoteMisuse(record, misuse); });
    if (!noted.ok()) {
      LogEvent(
          LogLevel::kWarning, "misuse not noted on the record",
          {{"token", token.id.text()}, {"status", noted.status().ToString()}});
    }
    return;
  }
  const Revocation revocation{
      .who = "latchkey",
      .why = fmt::format("misuse: {}", ReasonOf(refusal)),
      .time = now};
  const SecretString stand_in = RandomBase36(BootstrapToken::kSecretLength);
  const auto revoked =
      Advance(store_, token.id, [&](const TokenRecord& record) {
        return Revoke(record, revocation, stand_in);
      });
  if (revoked.ok()) {
    event.action = "token.revoke";
    event.verdict = AuditVerdict::kAllowed;
    event.token_uid = revoked->uid;
    audit_.Record(event).IgnoreError();
  }
  LogEvent(
      revoked.ok() ? LogLevel::kInfo : LogLevel::kError,
      revoked.ok() ? "token revoked" : "token not revoked",
      {{"token", token.id.text()}, {"status", revoked.status().ToString()}});
}

}  // namespace latchkey
