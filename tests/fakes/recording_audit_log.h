// An AuditLog that a test can read, and break.

#ifndef LATCHKEY_TESTS_FAKES_RECORDING_AUDIT_LOG_H_
#define LATCHKEY_TESTS_FAKES_RECORDING_AUDIT_LOG_H_

#include <functional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "audit/audit_log.h"
#include "core/mutex.h"
#include "core/reasons.h"
#include "core/refusal.h"

namespace latchkey_testing {

class RecordingAuditLog final : public latchkey::AuditLog {
 public:
  absl::Status RecordAll(
      const std::vector<latchkey::AuditEvent>& events) override {
    const latchkey::MutexLock lock(mutex_);
    if (broken_) return Unavailable();
    for (const auto& event : events) {
      if (before_) before_(event);
      events_.push_back(event);
    }
    return absl::OkStatus();
  }
  absl::Status Ready() override {
    const latchkey::MutexLock lock(mutex_);
    return broken_ && says_so_ ? Unavailable() : absl::OkStatus();
  }

  // Nothing can be written from now on; `says_so`: and Ready() knows it.
  void Break(bool says_so) {
    const latchkey::MutexLock lock(mutex_);
    broken_ = true;
    says_so_ = says_so;
  }
  void Mend() {
    const latchkey::MutexLock lock(mutex_);
    broken_ = false;
  }
  // Runs as each event is written.
  void Before(std::function<void(const latchkey::AuditEvent&)> look) {
    const latchkey::MutexLock lock(mutex_);
    before_ = std::move(look);
  }
  std::vector<latchkey::AuditEvent> events() const {
    const latchkey::MutexLock lock(mutex_);
    return events_;
  }
  // "action verdict reason" of each, in order.
  std::vector<std::string> Summary() const {
    std::vector<std::string> lines;
    for (const auto& event : events()) {
      lines.push_back(fmt::format(
          "{} {}{}{}", event.action, latchkey::AuditVerdictName(event.verdict),
          event.reason.empty() ? "" : " ", event.reason));
    }
    return lines;
  }

 private:
  static absl::Status Unavailable() {
    return latchkey::Refuse(absl::StatusCode::kUnavailable,
                            latchkey::reason::kAuditUnavailable, "broken");
  }

  mutable latchkey::Mutex mutex_;
  bool broken_ = false;
  bool says_so_ = false;
  std::function<void(const latchkey::AuditEvent&)> before_;
  std::vector<latchkey::AuditEvent> events_;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_FAKES_RECORDING_AUDIT_LOG_H_
