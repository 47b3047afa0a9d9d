#include "services/worker_pool.h"

#include <atomic>
#include <latch>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include <gmock/gmock.h>

#include "core/clock.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/wait_until.h"

namespace latchkey {
namespace {

using latchkey_testing::FakeClock;
using latchkey_testing::WaitUntil;

TEST(WorkerPoolTest, AGroupIsNeverWorkedOnTwiceAtOnce) {
  const SystemClock clock;
  std::atomic<int> at_once = 0;
  std::atomic<int> most = 0;
  std::atomic<int> done = 0;
  WorkerPool pool({.threads = 4}, clock, [&](const WorkSchedule::Item&) {
    most = std::max(most.load(), ++at_once);
    std::this_thread::yield();
    --at_once;
    ++done;
    return WorkResult::Done();
  });
  for (int i = 0; i < 200; ++i) pool.Add({"one", std::to_string(i)});
  ASSERT_TRUE(WaitUntil([&] { return done == 200; }));
  EXPECT_EQ(most, 1);
}

TEST(WorkerPoolTest, RetriesUntilItSucceeds) {
  const SystemClock clock;
  std::atomic<int> attempts = 0;
  WorkerPool pool({.threads = 2,
                   .first_backoff = absl::Milliseconds(1),
                   .last_backoff = absl::Milliseconds(4)},
                  clock, [&](const WorkSchedule::Item&) {
                    return ++attempts < 5 ? WorkResult::Retry()
                                          : WorkResult::Done();
                  });
  pool.Add({"g", "1"});
  EXPECT_TRUE(WaitUntil([&] { return attempts == 5; }));
}

TEST(WorkerPoolTest, AClockThatIsSetBackPutsNoRetryOff) {
  FakeClock clock(absl::FromUnixSeconds(1'800'000'000));
  std::atomic<int> attempts = 0;
  WorkerPool pool({.threads = 2,
                   .first_backoff = absl::Milliseconds(1),
                   .last_backoff = absl::Milliseconds(1)},
                  clock, [&](const WorkSchedule::Item&) {
                    clock.Advance(-absl::Hours(1));
                    return ++attempts < 3 ? WorkResult::Retry()
                                          : WorkResult::Done();
                  });
  pool.Add({"g", "1"});
  EXPECT_TRUE(WaitUntil([&] { return attempts == 3; }));
}

TEST(WorkerPoolTest, WhatIsTakenUpBeforeItsRetryIsNotTakenUpForItToo) {
  const SystemClock clock;
  std::atomic<int> visits = 0;
  std::atomic<bool> other = false;
  std::unique_ptr<WorkerPool> pool;
  const auto work = [&](const WorkSchedule::Item& item) {
    if (item.key == "other") {
      other = true;
      return WorkResult::Done();
    }
    if (++visits > 1) return WorkResult::Done();
    pool->Add(item);
    return WorkResult::Retry();
  };
  pool = std::make_unique<WorkerPool>(
      WorkerPool::Options{.threads = 1,
                          .first_backoff = absl::Milliseconds(1),
                          .last_backoff = absl::Milliseconds(1)},
      clock, work);
  pool->Add({"g", "1"});
  ASSERT_TRUE(WaitUntil([&] { return visits == 2; }));
  // The retry would come before this.
  pool->AddAt({"g", "other"}, clock.Now() + absl::Milliseconds(20));
  ASSERT_TRUE(WaitUntil([&] { return other.load(); }));
  EXPECT_EQ(visits, 2);
  pool.reset();
}

TEST(WorkerPoolTest, WorkMayAskToComeBack) {
  const SystemClock clock;
  std::atomic<int> visits = 0;
  WorkerPool pool({.threads = 1}, clock, [&](const WorkSchedule::Item&) {
    return ++visits < 3 ? WorkResult::Again(clock.Now() + absl::Milliseconds(1))
                        : WorkResult::Done();
  });
  pool.AddAt({"g", "1"}, clock.Now() + absl::Milliseconds(1));
  EXPECT_TRUE(WaitUntil([&] { return visits == 3; }));
}

TEST(WorkerPoolTest, WorkThatIsDueRunsWhileOtherWorkTakesLong) {
  const SystemClock clock;
  std::atomic<bool> release = false;
  std::atomic<bool> ran = false;
  WorkerPool pool({.threads = 2}, clock, [&](const WorkSchedule::Item& item) {
    if (item.key == "long") {
      WaitUntil([&] { return release.load(); });
    } else {
      ran = true;
    }
    return WorkResult::Done();
  });
  // Both threads wait for this one, one of them with the right alarm; then the
  // long work may take just that thread.
  pool.AddAt({"a", "due"}, clock.Now() + absl::Milliseconds(200));
  pool.Add({"b", "long"});
  EXPECT_TRUE(WaitUntil([&] { return ran.load(); }));
  release = true;
}

TEST(WorkerPoolTest, WhatIsDueInWhateverOrderItCameRunsInTime) {
  const SystemClock clock;
  std::atomic<int> ran = 0;
  WorkerPool pool({.threads = 1}, clock, [&](const WorkSchedule::Item&) {
    ++ran;
    return WorkResult::Done();
  });
  const absl::Time now = clock.Now();
  // The thread sleeps until the first of them; only the second is sooner.
  pool.AddAt({"a", "1"}, now + absl::Milliseconds(100));
  pool.AddAt({"b", "1"}, now + absl::Milliseconds(10));
  pool.AddAt({"c", "1"}, now + absl::Milliseconds(200));
  pool.AddAt({"d", "1"}, now + absl::Hours(1));
  EXPECT_TRUE(WaitUntil([&] { return ran == 3; }));
}

TEST(WorkerPoolTest, WhatIsSoonerThanEverythingWakesAThread) {
  const SystemClock clock;
  std::atomic<bool> ran = false;
  WorkerPool pool({.threads = 1}, clock, [&](const WorkSchedule::Item&) {
    ran = true;
    return WorkResult::Done();
  });
  pool.AddAt({"a", "1"}, clock.Now() + absl::Hours(1));
  pool.AddAt({"b", "1"}, clock.Now() + absl::Milliseconds(1));
  EXPECT_TRUE(WaitUntil([&] { return ran.load(); }));
}

TEST(WorkerPoolTest, SaysWhatItIsBehindWith) {
  FakeClock clock(absl::FromUnixSeconds(1'800'000'000));
  std::latch begun(1);
  std::latch go(1);
  WorkerPool pool({.threads = 1,
                   .first_backoff = absl::Hours(1),
                   .last_backoff = absl::Hours(1)},
                  clock, [&](const WorkSchedule::Item& item) {
                    if (item.key == "bad") return WorkResult::Retry();
                    if (item.key == "held") begun.count_down();
                    go.wait();
                    return WorkResult::Done();
                  });
  pool.Add({"a", "bad"});
  ASSERT_TRUE(WaitUntil([&] { return pool.load().retrying == 1; }));
  pool.Add({"b", "held"});
  begun.wait();
  pool.Add({"c", "waits"});
  pool.Add({"b", "waits for its group"});
  pool.AddAt({"d", "due"}, clock.Now() + absl::Seconds(1));
  pool.AddAt({"e", "not due"}, clock.Now() + absl::Hours(1));
  EXPECT_EQ(pool.load().waiting, 2U);
  clock.Advance(absl::Seconds(1));
  EXPECT_EQ(pool.load().waiting, 3U);
  EXPECT_EQ(pool.load().retrying, 1U);
  go.count_down();
  EXPECT_TRUE(WaitUntil([&] { return pool.load().waiting == 0; }));
}

TEST(WorkerPoolTest, EndsWithWorkWaiting) {
  const SystemClock clock;
  std::atomic<int> visits = 0;
  {
    WorkerPool pool({.threads = 1}, clock, [&](const WorkSchedule::Item&) {
      ++visits;
      return WorkResult::Retry(absl::Hours(1));
    });
    pool.Add({"g", "1"});
    pool.AddAt({"g", "2"}, clock.Now() + absl::Hours(1));
    ASSERT_TRUE(WaitUntil([&] { return visits == 1; }));
  }
  EXPECT_EQ(visits, 1);
}

}  // namespace
}  // namespace latchkey
