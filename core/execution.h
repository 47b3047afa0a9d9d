// Where a process's threads, waits, and the passing of time come from: the
// system, unless a simulation has put itself in its place.
//
// What waits goes through core/mutex.h (CondVar), what starts threads through
// core/thread.h, and what lets time pass through here, so that the code that
// runs in production is the code that is simulated: many "threads" on one real
// one, in an order that a seed decides.

#ifndef LATCHKEY_CORE_EXECUTION_H_
#define LATCHKEY_CORE_EXECUTION_H_

#include <functional>
#include <memory>
#include <mutex>

#include <absl/time/time.h>

namespace latchkey {

class Execution {
 public:
  // One thread of it.
  class Task {
   public:
    Task() = default;
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    virtual ~Task() = default;
    // Waits for its end.
    virtual void Join() = 0;
  };

  Execution() = default;
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;
  virtual ~Execution() = default;

  virtual std::shared_ptr<Task> Start(std::function<void()> body) = 0;
  // As CondVar::WaitFor and CondVar::SignalAll; `mutex` is held.
  virtual bool WaitFor(const void* condition, std::mutex& mutex,
                       absl::Duration timeout) = 0;
  virtual void Signal(const void* condition) = 0;
  virtual absl::Time Now() = 0;
  virtual void Sleep(absl::Duration duration) = 0;
  // In [0, 1).
  virtual double Fraction() = 0;

  // Of the calling thread; null: the system.
  static Execution* Current() { return current_; }
  static void SetCurrent(Execution* execution) { current_ = execution; }

 private:
  static thread_local constinit Execution* current_;
};

// For measuring how long something took, and for deadlines of our own: it does
// not jump when the machine's clock is set, counts while the machine sleeps,
// and begins anywhere. What judges an expiration takes a Clock (core/clock.h).
absl::Time ExecutionNow();
void ExecutionSleep(absl::Duration duration);
// In [0, 1): spreads what would else happen all at once. No secret may depend
// on it.
double DrawFraction();

}  // namespace latchkey

#endif  // LATCHKEY_CORE_EXECUTION_H_
