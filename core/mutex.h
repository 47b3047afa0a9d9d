// std::mutex with the annotations that let clang check, at compile time, that
// what is guarded is touched under the lock. Not absl::Mutex: Debian's Abseil
// is not instrumented, so ThreadSanitizer cannot see it.

#ifndef LATCHKEY_CORE_MUTEX_H_
#define LATCHKEY_CORE_MUTEX_H_

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include <absl/base/thread_annotations.h>
#include <absl/time/time.h>

#include "core/execution.h"

namespace latchkey {

class ABSL_LOCKABLE Mutex {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex)
      : mutex_(mutex) {
    mutex_.Lock();
  }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_.Unlock(); }

 private:
  Mutex& mutex_;
};

// Wait in a loop over the condition: wake-ups may be spurious.
class CondVar {
 public:
  void Wait(Mutex& mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    if (Execution* const execution = Execution::Current()) {
      execution->WaitFor(this, mutex.mutex_, absl::InfiniteDuration());
      return;
    }
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // Returns false if `timeout` passed first. An infinite timeout is allowed.
  bool WaitFor(Mutex& mutex, absl::Duration timeout)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    if (Execution* const execution = Execution::Current()) {
      return execution->WaitFor(this, mutex.mutex_, timeout);
    }
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    // An hour at a time: adding a huge duration to now() would overflow.
    const auto bounded = std::min(timeout, absl::Hours(1));
    const bool signalled =
        condition_.wait_for(lock, absl::ToChronoNanoseconds(bounded)) ==
        std::cv_status::no_timeout;
    lock.release();
    return signalled || bounded < timeout;
  }
  void SignalOne() {
    if (Execution* const execution = Execution::Current()) {
      execution->Signal(this);
    } else {
      condition_.notify_one();
    }
  }
  void SignalAll() {
    if (Execution* const execution = Execution::Current()) {
      execution->Signal(this);
    } else {
      condition_.notify_all();
    }
  }

 private:
  std::condition_variable condition_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CORE_MUTEX_H_
