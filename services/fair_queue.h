// Threads that work for many callers in turns: one caller's flood waits behind
// itself, not before the others, and never holds all threads.

#ifndef LATCHKEY_SERVICES_FAIR_QUEUE_H_
#define LATCHKEY_SERVICES_FAIR_QUEUE_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/mutex.h"
#include "core/thread.h"

namespace latchkey {

// Safe for concurrent use. Threads are started as tasks first need them.
class FairQueue {
 public:
  struct Options {
    size_t threads = 64;
    // Of them, that one caller may hold: with fewer than all, another caller
    // finds a thread at once. 0: all.
    size_t max_running_of_one = 0;
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

  // Tasks that wait, and that are worked on, now.
  struct Load {
    size_t waiting = 0;
    size_t busy = 0;
  };
  Load load() const;

 private:
  // A caller with tasks that wait or run.
  struct Line {
    std::deque<std::function<void()>> tasks;
    size_t running = 0;
    bool in_turn = false;
  };
  using Lines = std::map<std::string, Line, std::less<>>;
  using LinePtr = Lines::iterator;

  void RunTasks();
  // A task is there and a thread sleeps. One is woken at a time, and wakes the
  // next when it has a task and sees another: under load, threads that come
  // back from a task take what is there, and nobody is woken in vain.
  bool ShouldWake() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasThread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Puts the line among those that take turns, if it may have a thread.
  void TakeTurn(LinePtr line) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes the next task and counts it as running.
  std::pair<LinePtr, std::function<void()>> Begin()
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void End(LinePtr line) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const size_t max_running_of_one_;
  mutable Mutex mutex_;
  CondVar wake_;
  Lines lines_ ABSL_GUARDED_BY(mutex_);
  // Whose turn is next stands first.
  std::deque<LinePtr> turns_ ABSL_GUARDED_BY(mutex_);
  size_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t busy_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t sleeping_ ABSL_GUARDED_BY(mutex_) = 0;
  // A thread was signalled, and has not come yet.
  bool waking_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Thread> threads_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_FAIR_QUEUE_H_
