// The audit of calls that are refused at the door: before anything was done for
// them, and perhaps thousands a second. They are counted, and a record a second
// says how many there were of each kind, so that a flood can neither fill the
// audit log nor make gRPC's threads wait for a disk.

#ifndef LATCHKEY_SERVICES_REFUSAL_TALLY_H_
#define LATCHKEY_SERVICES_REFUSAL_TALLY_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <tuple>

#include "audit/audit_log.h"
#include "core/mutex.h"

namespace latchkey {

// Safe for concurrent use.
class RefusalTally {
 public:
  struct Options {
    absl::Duration interval = absl::Seconds(1);
    // Kinds told apart in one interval; the rest are one, without names.
    size_t max_kinds = 200;
  };

  // `audit` must outlive this.
  explicit RefusalTally(Options options, AuditLog& audit);
  RefusalTally(const RefusalTally&) = delete;
  RefusalTally& operator=(const RefusalTally&) = delete;
  // Records what is left.
  ~RefusalTally();

  // Counts a refusal. Those that agree in action, verdict, reason, identity,
  // peer and facts are one record, with the fact "count". What has the fact
  // "detail", of which there may be only a few, is logged as well. Never blocks
  // for long.
  void Add(const AuditEvent& refusal);

 private:
  using Kind = std::tuple<std::string, AuditVerdict, std::string, std::string,
                          std::string, std::map<std::string, std::string>>;
  struct Count {
    AuditEvent event;
    int64_t count = 0;
  };
  void Run();
  // The records of what was counted since the last time.
  std::vector<AuditEvent> Take() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  AuditLog& audit_;
  Mutex mutex_;
  CondVar wake_;
  std::map<Kind, Count> counts_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_REFUSAL_TALLY_H_
