#include "services/observed_refusal.h"

#include <string>

#include "clients/log/event_log.h"
#include "core/refusal.h"

namespace latchkey {

void LogObserved(const absl::Status& observed, std::string_view provisioner,
                 std::string_view about, std::string_view granted_by) {
  if (observed.ok()) return;
  RefusalMetadata denied = MetadataOf(observed);
  LogEvent(LogLevel::kWarning, "policy would deny",
           {{"provisioner", std::string(provisioner)},
            {"about", std::string(about)},
            {"granted_by", std::string(granted_by)},
            {"reason", ReasonOf(observed)},
            {"rule", denied["rule"]},
            {"field", denied["field"]},
            {"limit", denied["limit"]}});
}

void NoteObserved(const absl::Status& observed, AuditEvent& event) {
  if (observed.ok()) return;
  event.verdict = AuditVerdict::kObserved;
  event.reason = ReasonOf(observed);
}

}  // namespace latchkey
