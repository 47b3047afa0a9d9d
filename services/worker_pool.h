// Threads that work off a WorkSchedule.

#ifndef LATCHKEY_SERVICES_WORKER_POOL_H_
#define LATCHKEY_SERVICES_WORKER_POOL_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/mutex.h"
#include "core/thread.h"
#include "services/work_schedule.h"

namespace latchkey {

// What became of one item.
struct WorkResult {
  enum class Kind {
    kDone,   // until somebody adds it again
    kRetry,  // try again after a back-off that doubles from attempt to attempt
    kAgain,  // look again at `when`
  };
  Kind kind = Kind::kDone;
  absl::Time when = absl::InfinitePast();
  // kRetry: at least this long (a server asked to be left alone).
  absl::Duration at_least = absl::ZeroDuration();

  static WorkResult Done() { return {}; }
  static WorkResult Retry(absl::Duration at_least = absl::ZeroDuration()) {
    return {.kind = Kind::kRetry, .when = {}, .at_least = at_least};
  }
  static WorkResult Again(absl::Time when) {
    return {.kind = Kind::kAgain, .when = when, .at_least = {}};
  }
};

// Safe for concurrent use.
class WorkerPool {
 public:
  struct Options {
    int threads = 4;
    // Back-off of kRetry: doubled from the first to the last, each with up to
    // as much again of jitter.
    absl::Duration first_backoff = absl::Milliseconds(50);
    absl::Duration last_backoff = absl::Seconds(10);
  };
  using Work = std::function<WorkResult(const WorkSchedule::Item&)>;

  // Starts the threads. `clock` must outlive this; `work` is called from them.
  WorkerPool(Options options, const Clock& clock, Work work);
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  // Waits for the work in hand; what waits is dropped.
  ~WorkerPool();

  void Add(const WorkSchedule::Item& item);
  void AddAt(const WorkSchedule::Item& item, absl::Time when);

 private:
  void Run();
  std::optional<WorkSchedule::Item> Take();
  void Settle(const WorkSchedule::Item& item, const WorkResult& result);

  const Options options_;
  const Clock& clock_;
  const Work work_;
  Mutex mutex_;
  CondVar wake_;
  WorkSchedule schedule_ ABSL_GUARDED_BY(mutex_);
  // Retries in a row, of items that had any.
  std::map<WorkSchedule::Item, int> attempts_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Thread> threads_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_WORKER_POOL_H_
