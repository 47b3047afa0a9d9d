#include "audit/audit_log.h"

#include <array>

namespace latchkey {

std::string_view AuditVerdictName(AuditVerdict verdict) {
  constexpr std::array<std::string_view, 4> kNames = {"allowed", "denied",
                                                      "failed", "observed"};
  return kNames[static_cast<size_t>(verdict)];
}

absl::Status NoAuditLog::RecordAll(const std::vector<AuditEvent>& /*events*/) {
  return absl::OkStatus();
}

}  // namespace latchkey
