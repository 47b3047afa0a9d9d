#include "services/refusal_tally.h"

#include <string>
#include <utility>
#include <vector>

#include "clients/log/event_log.h"
#include "core/execution.h"

namespace latchkey {
namespace {

// Who has no audit log finds it here.
void Log(const AuditEvent& event) {
  const auto detail = event.facts.find("detail");
  if (detail == event.facts.end()) return;
  LogEvent(LogLevel::kInfo, "calls refused",
           {{"rpc", event.action},
            {"reason", event.reason},
            {"detail", detail->second},
            {"identity", event.identity},
            {"peer", event.peer},
            {"count", event.facts.at("count")}});
}

}  // namespace

RefusalTally::RefusalTally(Options options, AuditLog& audit)
    : options_(options), audit_(audit), thread_([this] { Run(); }) {}

RefusalTally::~RefusalTally() {
  const MutexLock lock(mutex_);
  stopping_ = true;
  wake_.SignalAll();
}

void RefusalTally::Add(const AuditEvent& refusal) {
  const MutexLock lock(mutex_);
  Kind kind{refusal.action,   refusal.verdict, refusal.reason,
            refusal.identity, refusal.peer,    refusal.facts};
  auto it = counts_.find(kind);
  if (it == counts_.end()) {
    if (counts_.empty()) wake_.SignalAll();
    AuditEvent event = refusal;
    if (counts_.size() >= options_.max_kinds) {
      event = {.action = refusal.action,
               .verdict = refusal.verdict,
               .reason = refusal.reason,
               .facts = refusal.facts};
      kind = {event.action, event.verdict, event.reason, "", "", event.facts};
    }
    it = counts_.try_emplace(std::move(kind), Count{.event = event}).first;
  }
  ++it->second.count;
}

std::vector<AuditEvent> RefusalTally::Take() {
  std::vector<AuditEvent> events;
  for (auto& [kind, one] : counts_) {
    one.event.facts["count"] = std::to_string(one.count);
    events.push_back(std::move(one.event));
  }
  counts_.clear();
  return events;
}

void RefusalTally::Run() {
  bool stopping = false;
  while (!stopping) {
    std::vector<AuditEvent> events;
    {
      const MutexLock lock(mutex_);
      while (counts_.empty() && !stopping_) wake_.Wait(mutex_);
      // The first of an interval opens it; the record comes at its end.
      const absl::Time end = ExecutionNow() + options_.interval;
      while (!stopping_) {
        const absl::Duration left = end - ExecutionNow();
        if (left <= absl::ZeroDuration()) break;
        wake_.WaitFor(mutex_, left);
      }
      events = Take();
      stopping = stopping_;
    }
    for (const AuditEvent& event : events) Log(event);
    // Nothing was done for these calls, so nothing hangs on the answer; the log
    // itself counts what it could not keep.
    audit_.RecordAll(events).IgnoreError();
  }
}

}  // namespace latchkey
