// The audit log: one record a decision.

#ifndef LATCHKEY_AUDIT_AUDIT_LOG_H_
#define LATCHKEY_AUDIT_AUDIT_LOG_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "policy/identity.h"

namespace latchkey {

// What was decided.
//   allowed  and done, or about to be done
//   denied   by a rule; `reason` says which
//   failed   neither: something did not answer, or broke
//   observed would have been denied, but the policy only observes
enum class AuditVerdict { kAllowed, kDenied, kFailed, kObserved };

// "allowed", "denied", "failed", "observed".
std::string_view AuditVerdictName(AuditVerdict verdict);

// Never a secret: of a ticket nothing, of a request_id (which is half of a
// ticket) no more than its digest, of a bearer token nothing.
struct AuditEvent {
  // An RPC ("IssueToken"), or a step that no caller asks for: "csr.approve",
  // "csr.deny", "token.reserve", "token.release", "token.spend",
  // "token.revoke", "token.remove", "token.misuse", "policy.reload".
  std::string action;
  AuditVerdict verdict = AuditVerdict::kAllowed;
  // Of a denial or failure: a reason of docs/errors.md.
  std::string reason;
  // Who asked; an empty name: a machine with a ticket, or nobody but us.
  std::string identity;
  IdentityKind identity_kind = IdentityKind::kCertificate;
  std::string peer;
  // The policy rule that decided.
  std::string rule;
  std::string token_id;
  // The Secret's UID: an id may be used again, once its record is gone.
  std::string token_uid;
  // Whatever else the action's schema asks for (services/rpc_table.h):
  // "node", "delivery", "csr", "csr_uid", "key", "count"; docs/audit.md lists
  // them.
  std::map<std::string, std::string> facts;
};

// Safe for concurrent use.
class AuditLog {
 public:
  AuditLog() = default;
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;
  virtual ~AuditLog() = default;

  // Writes `event`, with the time. OK: it is written, or the log is configured
  // not to insist. AUDIT_UNAVAILABLE (kUnavailable): it could not be, and what
  // it is about must not happen, or not be answered.
  absl::Status Record(const AuditEvent& event) { return RecordAll({event}); }

  // The same for all of `events`, in this order: all are written, or none.
  virtual absl::Status RecordAll(const std::vector<AuditEvent>& events) = 0;

  // AUDIT_UNAVAILABLE if the last record could not be written, it is worth
  // nothing to go on, and it still cannot. To be asked before something is done
  // that would then have to be recorded.
  virtual absl::Status Ready() { return absl::OkStatus(); }
};

// Keeps nothing.
class NoAuditLog final : public AuditLog {
 public:
  absl::Status RecordAll(const std::vector<AuditEvent>& events) override;
};

}  // namespace latchkey

#endif  // LATCHKEY_AUDIT_AUDIT_LOG_H_
