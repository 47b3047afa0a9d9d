#include "services/fair_queue.h"

#include <atomic>
#include <future>
#include <string>
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

}  // namespace
}  // namespace latchkey
