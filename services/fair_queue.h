// Threads that work for many callers in turns: one caller's flood waits behind
// itself, not before the others.

#ifndef LATCHKEY_SERVICES_FAIR_QUEUE_H_
#define LATCHKEY_SERVICES_FAIR_QUEUE_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "core/mutex.h"

namespace latchkey {

// Safe for concurrent use. Threads are started as tasks first need them.
class FairQueue {
 public:
  struct Options {
    size_t threads = 64;
    // Tasks that may wait: of all callers, and of one.
    size_t max_waiting = 1024;
    size_t max_waiting_of_one = 256;
  };

  explicit FairQueue(Options options);
  FairQueue(const FairQueue&) = delete;
  FairQueue& operator=(const FairQueue&) = delete;
  // Runs what waits to its end, then joins.
  ~FairQueue();

  // Queues `task` behind the others of `caller`; callers take turns, a task
  // each. False, and `task` is dropped, if too many wait, or if there is no
  // thread and the system gives none.
  [[nodiscard]] bool TrySubmit(std::string_view caller,
                               std::function<void()> task);

 private:
  struct Line {
    std::string caller;
    std::deque<std::function<void()>> tasks;
  };
  using Lines = std::list<Line>;

  void RunTasks();
  bool HasThread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::function<void()> TakeNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  Mutex mutex_;
  CondVar wake_;
  // Callers with tasks that wait; whose turn is next stands first.
  Lines lines_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Lines::iterator, std::less<>> line_of_
      ABSL_GUARDED_BY(mutex_);
  size_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t busy_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::jthread> threads_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_FAIR_QUEUE_H_
