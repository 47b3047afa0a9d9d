// Many threads on one, deterministically: each is a fiber that runs until it
// waits, sleeps or yields; whose turn is next, and how virtual time passes, is
// decided by one seeded generator and nothing else.

#ifndef LATCHKEY_TESTS_SIMULATION_SCHEDULER_H_
#define LATCHKEY_TESTS_SIMULATION_SCHEDULER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <unordered_map>
#include <vector>

#include <absl/time/time.h>
#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>

#include "core/execution.h"

namespace latchkey_testing {

// Puts itself in the system's place for the thread that made it, as long as it
// exists. Fibers belong to groups: what is killed, frozen and thawed together,
// as a process is.
class Scheduler final : public latchkey::Execution {
 public:
  using Group = int;

  Scheduler(uint64_t seed, absl::Time start);
  // Kills what is left.
  ~Scheduler() override;

  Group NewGroup() { return ++last_group_; }
  // Starts a fiber of `group`; what it starts itself is of its group too.
  void Spawn(Group group, std::function<void()> body);
  // Ends every fiber of the group where it stands; they see nothing of it but
  // that their locals go. Not from a fiber of the group itself.
  void Kill(Group group);
  // Runs `work`, outside of all fibers: what it starts is of that group.
  void StartIn(Group group, const std::function<void()>& work);
  void KillAll();
  // A frozen group's fibers get no turn.
  void SetFrozen(Group group, bool frozen);
  bool Alive(Group group) const;

  // Gives turns until `done`, or nothing will ever happen any more, or the
  // virtual time passes `until`. From outside of all fibers.
  void Run(absl::Time until, const std::function<bool()>& done);

  // From a fiber: lets others go first.
  void Yield();
  // The group of the fiber that runs; 0 outside.
  Group CurrentGroup() const;
  // The fiber that runs, as a name only; null outside.
  const void* CurrentFiber() const;

  // The generator. Below() is in [0, bound).
  uint64_t Below(uint64_t bound);
  bool Chance(double probability);

  // Turns given so far.
  uint64_t turns() const { return turns_; }

  std::shared_ptr<Task> Start(std::function<void()> body) override;
  bool WaitFor(const void* condition, std::mutex& mutex,
               absl::Duration timeout) override;
  void Signal(const void* condition) override;
  absl::Time Now() override;
  void Sleep(absl::Duration duration) override;
  double Fraction() override;

  // WaitFor without a mutex: what is waited for changes only between turns.
  bool Await(const void* condition, absl::Duration timeout);

 private:
  struct Fiber;
  class Handle;
  using FiberPtr = std::shared_ptr<Fiber>;

  FiberPtr Make(Group group, std::function<void()> body);
  // Leaves the running fiber until it is ready again.
  void Park();
  void BeginWait(const void* condition, absl::Duration timeout);
  // Of the running fiber, to ThreadSanitizer (fiber_switch.h).
  void SetApart(bool apart);
  void Resume(const FiberPtr& fiber);
  // Its stack is no more.
  static void End(const FiberPtr& fiber);
  // Takes the fiber out of wherever it waits.
  void StopWaiting(const FiberPtr& fiber);
  // Moves time to the next sleeper that may wake; false if there is none before
  // `until`.
  bool PassTime(absl::Time until);
  FiberPtr TakeReady();

  absl::Time now_;
  uint64_t turns_ = 0;
  Group last_group_ = 0;
  std::mt19937_64 generator_;
  boost::context::pooled_fixedsize_stack stacks_;
  std::vector<FiberPtr> fibers_;  // all that have not ended
  std::vector<FiberPtr> ready_;
  std::multimap<absl::Time, FiberPtr> sleepers_;
  // By what they wait for. Never walked as a whole: addresses are not the same
  // each time.
  std::unordered_map<const void*, std::vector<FiberPtr>> waiters_;
  std::set<Group> frozen_;
  Group starting_ = 0;
  FiberPtr running_;
  bool unwinding_ = false;      // a killed fiber's locals go
  boost::context::fiber back_;  // to Run(), while a fiber runs
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_SIMULATION_SCHEDULER_H_
