#include "services/fair_queue.h"

#include <atomic>
#include <future>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "core/mutex.h"
#include "tests/testing/wait_until.h"

namespace latchkey {
namespace {

using latchkey_testing::WaitUntil;
using ::testing::ElementsAre;

// Tasks that a test lets go, and a note of who ran in which order.
class FairQueueTest : public ::testing::Test {
 protected:
  void Note(const std::string& who) {
    const MutexLock lock(mutex_);
    order_.push_back(who);
  }
  std::vector<std::string> Order() {
    const MutexLock lock(mutex_);
    return order_;
  }
  // A task that holds its thread until Open().
  std::function<void()> Held() {
    return [this] { gate_.wait(); };
  }
  void Open() { open_.set_value(); }

  std::promise<void> open_;
  std::shared_future<void> gate_ = open_.get_future().share();

 private:
  Mutex mutex_;
  std::vector<std::string> order_;
};

TEST_F(FairQueueTest, CallersTakeTurns) {
  {
    FairQueue queue({.threads = 1});
    ASSERT_TRUE(queue.TrySubmit("a", Held()));
    ASSERT_TRUE(WaitUntil([&] { return queue.load().busy == 1; }));
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(queue.TrySubmit("flood", [this] { Note("flood"); }));
    }
    ASSERT_TRUE(queue.TrySubmit("b", [this] { Note("b"); }));
    EXPECT_EQ(queue.load().waiting, 4U);
    Open();
  }
  EXPECT_THAT(Order(), ElementsAre("flood", "b", "flood", "flood"));
}

TEST_F(FairQueueTest, OneCallerDoesNotHoldEveryThread) {
  FairQueue queue({.threads = 4, .max_running_of_one = 3});
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(queue.TrySubmit("flood", Held()));
  ASSERT_TRUE(WaitUntil([&] { return queue.load().busy == 3; }));
  std::promise<void> ran;
  ASSERT_TRUE(queue.TrySubmit("b", [&] { ran.set_value(); }));
  EXPECT_EQ(ran.get_future().wait_for(std::chrono::seconds(30)),
            std::future_status::ready);
  // It counts as busy for a moment longer.
  EXPECT_TRUE(WaitUntil([&] {
    const FairQueue::Load load = queue.load();
    return load.busy + load.waiting == 20;
  })) << "the flood's tasks are all held or wait";
  Open();
}

TEST_F(FairQueueTest, WhatCannotWaitIsRefusedByCallerAndInAll) {
  std::atomic<int> ran = 0;
  {
    FairQueue queue({.threads = 1, .max_waiting = 3, .max_waiting_of_one = 2});
    ASSERT_TRUE(queue.TrySubmit("a", Held()));
    ASSERT_TRUE(WaitUntil([&] { return queue.load().busy == 1; }));
    const auto count = [&] { ++ran; };
    EXPECT_TRUE(queue.TrySubmit("a", count));
    EXPECT_TRUE(queue.TrySubmit("a", count));
    EXPECT_FALSE(queue.TrySubmit("a", count)) << "two of one may wait";
    EXPECT_TRUE(queue.TrySubmit("b", count));
    EXPECT_FALSE(queue.TrySubmit("c", count)) << "three may wait";
    Open();
  }
  EXPECT_EQ(ran, 3);
}

TEST_F(FairQueueTest, TheEndWaitsForWhatWasTaken) {
  std::atomic<int> ran = 0;
  {
    FairQueue queue({.threads = 4, .max_running_of_one = 1});
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(queue.TrySubmit("a", [&] { ++ran; }));
    }
  }
  EXPECT_EQ(ran, 50);
}

// With one caller it is a plain pool of threads.

TEST(OneCallersQueueTest, RunsEveryTaskThatItTakes) {
  std::atomic<int> accepted = 0;
  std::atomic<int> ran = 0;
  {
    FairQueue queue(
        {.threads = 4, .max_waiting = 16, .max_waiting_of_one = 16});
    std::vector<std::jthread> submitters;
    for (int i = 0; i < 8; ++i) {
      submitters.emplace_back([&] {
        for (int j = 0; j < 1000; ++j) {
          if (queue.TrySubmit("a", [&] { ++ran; })) ++accepted;
        }
      });
    }
    submitters.clear();  // joins
  }
  EXPECT_GT(accepted, 0);
  EXPECT_EQ(ran, accepted);
}

TEST(OneCallersQueueTest, RunsAsManyTasksAtOnceAsItHasThreads) {
  constexpr int kThreads = 4;
  // Many times, and with an idle thread to begin with: it must not be counted
  // on twice while it wakes up.
  for (int round = 0; round < 200; ++round) {
    std::latch one_idle(1);
    std::latch all_running(kThreads);
    FairQueue queue(
        {.threads = kThreads, .max_waiting = 16, .max_waiting_of_one = 16});
    ASSERT_TRUE(queue.TrySubmit("a", [&] { one_idle.count_down(); }));
    one_idle.wait();
    // Each waits for the others: with fewer threads the test would hang.
    for (int i = 0; i < kThreads; ++i) {
      ASSERT_TRUE(queue.TrySubmit("a", [&] { all_running.arrive_and_wait(); }));
    }
    all_running.wait();
  }
}

TEST(OneCallersQueueTest, NeverRunsMoreTasksAtOnceThanItHasThreads) {
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;
  {
    FairQueue queue(
        {.threads = 3, .max_waiting = 1000, .max_waiting_of_one = 1000});
    for (int i = 0; i < 1000; ++i) {
      ASSERT_TRUE(queue.TrySubmit("a", [&] {
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

TEST(OneCallersQueueTest, RefusesWhenItIsFull) {
  std::latch started(1);
  std::latch release(1);
  std::atomic<int> ran = 0;
  std::weak_ptr<int> dropped;
  {
    FairQueue queue({.threads = 1, .max_waiting = 2, .max_waiting_of_one = 2});
    ASSERT_TRUE(queue.TrySubmit("a", [&] {
      started.count_down();
      release.wait();
    }));
    started.wait();
    EXPECT_TRUE(queue.TrySubmit("a", [&] { ++ran; }));
    EXPECT_TRUE(queue.TrySubmit("a", [&] { ++ran; }));
    auto held = std::make_shared<int>(0);
    dropped = held;
    EXPECT_FALSE(queue.TrySubmit("a", [&ran, held] { ran += 100; }));
    held.reset();
    EXPECT_TRUE(dropped.expired());
    release.count_down();
  }
  EXPECT_EQ(ran, 2);
}

TEST(OneCallersQueueTest, TakesTasksAgainOnceItIsShorter) {
  FairQueue queue({.threads = 1, .max_waiting = 1, .max_waiting_of_one = 1});
  for (int i = 0; i < 100; ++i) {
    std::latch done(1);
    ASSERT_TRUE(queue.TrySubmit("a", [&] { done.count_down(); }));
    done.wait();
  }
}

TEST(OneCallersQueueTest, DestructionRunsWhatIsQueued) {
  std::latch started(1);
  std::latch release(1);
  std::vector<int> order;  // one thread: no lock
  std::optional<FairQueue> queue;
  queue.emplace(FairQueue::Options{
      .threads = 1, .max_waiting = 10, .max_waiting_of_one = 10});
  ASSERT_TRUE(queue->TrySubmit("a", [&] {
    started.count_down();
    release.wait();
  }));
  started.wait();
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(queue->TrySubmit("a", [&order, i] { order.push_back(i); }));
  }
  std::jthread destroyer([&] { queue.reset(); });
  release.count_down();
  destroyer.join();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(OneCallersQueueTest, AQueueWithoutTasksStartsAndEndsAtOnce) {
  const FairQueue queue({});
}

}  // namespace
}  // namespace latchkey
