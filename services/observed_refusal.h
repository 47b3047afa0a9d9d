// What the policy would refuse, were it not only observing (PolicyMode).

#ifndef LATCHKEY_SERVICES_OBSERVED_REFUSAL_H_
#define LATCHKEY_SERVICES_OBSERVED_REFUSAL_H_

#include <string_view>

#include <absl/status/status.h>

#include "audit/audit_log.h"

namespace latchkey {

// Logs that `provisioner` was granted what is refused with `observed`, for
// whoever prepares to enforce it. `about`: a node's name, a token's id or an
// action; `granted_by`: a rule, if one is known. Nothing if `observed` is OK.
void LogObserved(const absl::Status& observed, std::string_view provisioner,
                 std::string_view about, std::string_view granted_by = "");

// Notes the same in the audit record of a call that was allowed.
void NoteObserved(const absl::Status& observed, AuditEvent& event);

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_OBSERVED_REFUSAL_H_
