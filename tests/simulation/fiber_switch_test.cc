// Fibers under the sanitizers: that they see through them what they see on
// threads, and nothing that is not there.

#include "tests/simulation/fiber_switch.h"

#include <cstdlib>
#include <functional>

#include <absl/time/time.h>
#include <gtest/gtest.h>

#include "core/mutex.h"
#include "tests/simulation/scheduler.h"

#ifdef LATCHKEY_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace latchkey_testing {
namespace {

using latchkey::CondVar;
using latchkey::Mutex;
using latchkey::MutexLock;

const absl::Time kBegin = absl::UnixEpoch();

void RunToTheEnd(Scheduler& scheduler) {
  scheduler.Run(kBegin + absl::Hours(1), [] { return false; });
}

TEST(FiberSwitchTest, LocalsGoHoweverAFiberEnds) {
  int alive = 0;
  struct Local {
    explicit Local(int& count) : alive(count) { ++alive; }
    ~Local() { --alive; }
    int& alive;
  };
  Scheduler scheduler(1, kBegin);
  const auto sleep = [&](absl::Duration duration) {
    const Local local(alive);
    scheduler.Sleep(duration);
  };
  scheduler.Spawn(1, [&] { sleep(absl::Seconds(1)); });
  scheduler.Spawn(2, [&] { sleep(absl::Hours(2)); });
  scheduler.Spawn(3, [&] { sleep(absl::Hours(2)); });
  RunToTheEnd(scheduler);
  EXPECT_EQ(alive, 2);
  scheduler.Kill(2);
  EXPECT_EQ(alive, 1);
  scheduler.Spawn(4, [&] { scheduler.Kill(3); });
  RunToTheEnd(scheduler);
  EXPECT_EQ(alive, 0);
}

#ifdef LATCHKEY_ASAN

[[gnu::noinline]] void ThrowPast(const char*& local) {
  volatile char bytes[64] = {};
  local = const_cast<const char*>(bytes);
  if (bytes[0] == 0) throw 1;
}

// As the unwinding of what is killed does, and each exception in a fiber.
TEST(FiberSwitchTest, WhatAnExceptionSkipsIsFreeAgain) {
  Scheduler scheduler(1, kBegin);
  void* poisoned = nullptr;
  scheduler.Spawn(1, [&] {
    const char* local = nullptr;
    try {
      ThrowPast(local);
    } catch (int) {
      poisoned = __asan_region_is_poisoned(const_cast<char*>(local) - 32, 128);
    }
  });
  RunToTheEnd(scheduler);
  EXPECT_EQ(poisoned, nullptr);
}

#endif

#ifdef LATCHKEY_TSAN

// Two of them, one after the other, before they wait for each other.
void Count(const std::function<void(int&, Mutex&)>& count) {
  Mutex mutex;
  CondVar changed;
  int number = 0;
  Scheduler scheduler(1, kBegin);
  for (int i = 0; i < 2; ++i) {
    scheduler.Spawn(1, [&] {
      count(number, mutex);
      const MutexLock lock(mutex);
      changed.WaitFor(mutex, absl::Seconds(1));
    });
  }
  RunToTheEnd(scheduler);
}

TEST(FiberSwitchTest, ALockThatIsMissingIsSeen) {
  const auto count = [](int& number, Mutex& /*mutex*/) { ++number; };
  // Of `number`, and not of what changes stacks: WhatALockOrdersIsNoRace.
  EXPECT_EXIT((Count(count), std::exit(0)), testing::ExitedWithCode(66),
              "data race");
}

TEST(FiberSwitchTest, WhatALockOrdersIsNoRace) {
  Count([](int& number, Mutex& mutex) {
    const MutexLock lock(mutex);
    ++number;
  });
}

TEST(FiberSwitchTest, WhatTheWorldOrdersIsNoRace) {
  Count([](int& number, Mutex& /*mutex*/) {
    const InTheWorld here;
    ++number;
  });
}

#endif

}  // namespace
}  // namespace latchkey_testing
