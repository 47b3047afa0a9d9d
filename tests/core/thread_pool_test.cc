#include "core/thread_pool.h"

#include <atomic>
#include <latch>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace latchkey {
namespace {

TEST(ThreadPoolTest, RunsEveryTaskThatItTakes) {
  std::atomic<int> accepted = 0;
  std::atomic<int> ran = 0;
  {
    ThreadPool pool({.threads = 4, .max_queued = 16});
    std::vector<std::jthread> submitters;
    for (int i = 0; i < 8; ++i) {
      submitters.emplace_back([&] {
        for (int j = 0; j < 1000; ++j) {
          if (pool.TrySubmit([&] { ++ran; })) ++accepted;
        }
      });
    }
    submitters.clear();  // joins
  }
  EXPECT_GT(accepted, 0);
  EXPECT_EQ(ran, accepted);
}

TEST(ThreadPoolTest, RunsAsManyTasksAtOnceAsItHasThreads) {
  constexpr int kThreads = 4;
  // Many times, and with an idle thread to begin with: it must not be counted
  // on twice while it wakes up.
  for (int round = 0; round < 200; ++round) {
    std::latch one_idle(1);
    std::latch all_running(kThreads);
    ThreadPool pool({.threads = kThreads, .max_queued = 16});
    ASSERT_TRUE(pool.TrySubmit([&] { one_idle.count_down(); }));
    one_idle.wait();
    // Each waits for the others: with fewer threads the test would hang.
    for (int i = 0; i < kThreads; ++i) {
      ASSERT_TRUE(pool.TrySubmit([&] { all_running.arrive_and_wait(); }));
    }
    all_running.wait();
  }
}

TEST(ThreadPoolTest, NeverRunsMoreTasksAtOnceThanItHasThreads) {
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;
  {
    ThreadPool pool({.threads = 3, .max_queued = 1000});
    for (int i = 0; i < 1000; ++i) {
      ASSERT_TRUE(pool.TrySubmit([&] {
        const int now = ++running;
        int seen = most;
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        std::this_thread::yield();
        --running;
      }));
    }
  }
  EXPECT_GE(most, 1);
  EXPECT_LE(most, 3);
}

TEST(ThreadPoolTest, RefusesWhenTheQueueIsFull) {
  std::latch started(1);
  std::latch release(1);
  std::atomic<int> ran = 0;
  std::weak_ptr<int> dropped;
  {
    ThreadPool pool({.threads = 1, .max_queued = 2});
    ASSERT_TRUE(pool.TrySubmit([&] {
      started.count_down();
      release.wait();
    }));
    started.wait();
    EXPECT_TRUE(pool.TrySubmit([&] { ++ran; }));
    EXPECT_TRUE(pool.TrySubmit([&] { ++ran; }));
    auto held = std::make_shared<int>(0);
    dropped = held;
    EXPECT_FALSE(pool.TrySubmit([&ran, held] { ran += 100; }));
    held.reset();
    EXPECT_TRUE(dropped.expired());
    release.count_down();
  }
  EXPECT_EQ(ran, 2);
}

TEST(ThreadPoolTest, TakesTasksAgainOnceTheQueueIsShorter) {
  ThreadPool pool({.threads = 1, .max_queued = 1});
  for (int i = 0; i < 100; ++i) {
    std::latch done(1);
    ASSERT_TRUE(pool.TrySubmit([&] { done.count_down(); }));
    done.wait();
  }
}

TEST(ThreadPoolTest, DestructionRunsWhatIsQueued) {
  std::latch started(1);
  std::latch release(1);
  std::vector<int> order;  // one thread: no lock
  std::optional<ThreadPool> pool;
  pool.emplace(ThreadPool::Options{.threads = 1, .max_queued = 10});
  ASSERT_TRUE(pool->TrySubmit([&] {
    started.count_down();
    release.wait();
  }));
  started.wait();
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(pool->TrySubmit([&order, i] { order.push_back(i); }));
  }
  std::jthread destroyer([&] { pool.reset(); });
  release.count_down();
  destroyer.join();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(ThreadPoolTest, APoolWithoutTasksStartsAndEndsAtOnce) {
  const ThreadPool pool({});
}

}  // namespace
}  // namespace latchkey
