// Threads that work off a WorkSchedule.

#ifndef LATCHKEY_SERVICES_WORKER_POOL_H_
#define LATCHKEY_SERVICES_WORKER_POOL_H_

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
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
    kAgain,  // look again at `when`, by the clock
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
  // A clock that is set puts off what is to be done at a time, and no retry.
  WorkerPool(Options options, const Clock& clock, Work work);
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  // Waits for the work in hand; what waits is dropped.
  ~WorkerPool();

  void Add(const WorkSchedule::Item& item);
  void AddAt(const WorkSchedule::Item& item, absl::Time when);

  struct Load {
    // Items that no thread has taken up yet.
    size_t waiting = 0;
    // Items that wait out their back-off.
    size_t retrying = 0;
  };
  Load load() const;

 private:
  struct Retries {
    int in_a_row = 0;
    // Of the next one; by ExecutionNow(). None: under way, or overtaken.
    std::optional<absl::Time> due;
  };

  void Run();
  std::optional<WorkSchedule::Item> Take();
  void Settle(const WorkSchedule::Item& item, const WorkResult& result);
  // Of an item that was taken up: it waits for no other retry.
  void RetryAt(const WorkSchedule::Item& item, absl::Time due)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The item is taken up, for its retry or before it.
  void DropRetry(const WorkSchedule::Item& item)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Readies what is due again, and answers how long until the next.
  absl::Duration ReadyRetries() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const Clock& clock_;
  const Work work_;
  mutable Mutex mutex_;
  CondVar wake_;
  WorkSchedule schedule_ ABSL_GUARDED_BY(mutex_);
  // Of items that are or were being retried.
  std::map<WorkSchedule::Item, Retries> retries_ ABSL_GUARDED_BY(mutex_);
  std::set<std::pair<absl::Time, WorkSchedule::Item>> due_retries_
      ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Thread> threads_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_WORKER_POOL_H_
