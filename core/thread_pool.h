// A fixed number of threads that run tasks from one bounded queue.

#ifndef LATCHKEY_CORE_THREAD_POOL_H_
#define LATCHKEY_CORE_THREAD_POOL_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <vector>

#include "core/mutex.h"
#include "core/thread.h"

namespace latchkey {

// Safe for concurrent use. Threads are started as tasks first need them.
class ThreadPool {
 public:
  struct Options {
    size_t threads = 8;
    // Tasks that may wait while every thread is busy. More of them are refused,
    // not buffered.
    size_t max_queued = 1024;
  };

  explicit ThreadPool(Options options);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  // Runs what is queued to its end, then joins.
  ~ThreadPool();

  // Queues `task`. False, and `task` is dropped, if the queue is full, or if
  // there is no thread and the system gives none.
  [[nodiscard]] bool TrySubmit(std::function<void()> task);

 private:
  void RunTasks();

  const Options options_;
  Mutex mutex_;
  CondVar wake_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  std::vector<Thread> threads_ ABSL_GUARDED_BY(mutex_);
  size_t busy_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace latchkey

#endif  // LATCHKEY_CORE_THREAD_POOL_H_
