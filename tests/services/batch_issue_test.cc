#include "services/batch_issue.h"

#include <atomic>
#include <future>
#include <latch>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "core/reasons.h"
#include "storage/memory_token_store.h"
#include "tests/fakes/flaky_token_store.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::FakeClock;
using latchkey_testing::FlakyTokenStore;
using latchkey_testing::IsOk;
using latchkey_testing::ReasonIs;
using latchkey_testing::StatusIs;
using ::testing::SizeIs;

bool Never() { return false; }

class BatchIssueTest : public ::testing::Test {
 protected:
  static std::vector<PolicyRule> Rules() {
    return {{.name = "workers",
             .provisioners = {{{{"common_name", "alice"}}}},
             .node_names = {"worker-*"}}};
  }
  static BatchItems Items(int count, const std::string& run = "request") {
    BatchItems items;
    for (int i = 0; i < count; ++i) {
      items.push_back(IssueRequest{
          .scope = {.node_name = fmt::format("worker-{}", i)},
          .request_id = SecretString(fmt::format("{}-{:06}", run, i))});
    }
    return items;
  }
  BatchResults Run(BatchItems items,
                   const std::function<bool()>& given_up = Never) {
    std::promise<BatchResults> done;
    IssueBatch(broker_, queue_, alice_, std::move(items), given_up,
               [&](BatchResults results, const BatchTimes&) {
                 done.set_value(std::move(results));
               });
    return done.get_future().get();
  }
  size_t Records() {
    return memory_.List({.filter = {}, .page_size = 100'000})->tokens.size();
  }

  const Identity alice_ = {.name = "cn:alice",
                           .attributes = {{"common_name", {"alice"}}}};
  FakeClock clock_;
  MemoryTokenStore memory_{clock_};
  FlakyTokenStore store_{memory_};
  LivePolicy policy_{Policy(Rules())};
  NoAuditLog audit_;
  MisuseGuard misuse_{store_, policy_, audit_, clock_};
  RecordIndex index_;
  TokenBroker broker_{{}, store_, policy_, misuse_, index_, clock_};
  FairQueue queue_{{.threads = 8}};
};

TEST_F(BatchIssueTest, EveryItemEndsByItself) {
  BatchItems items = Items(200);
  items[17] = absl::InvalidArgumentError("no request");
  items[99]->scope.node_name = "forbidden";
  items[150]->scope.node_name = "not a name";
  const BatchResults results = Run(items);

  ASSERT_THAT(results, SizeIs(200));
  for (size_t i = 0; i < results.size(); ++i) {
    SCOPED_TRACE(i);
    if (i == 17) {
      EXPECT_THAT(results[i],
                  StatusIs(absl::StatusCode::kInvalidArgument, "no request"));
    } else if (i == 99) {
      EXPECT_THAT(results[i], ReasonIs(reason::kPolicyDenied));
    } else if (i == 150) {
      EXPECT_THAT(results[i], ReasonIs(reason::kInvalidField));
    } else {
      ASSERT_THAT(results[i], IsOk());
      EXPECT_EQ(results[i]->record.scope.node_name,
                fmt::format("worker-{}", i));
    }
  }
  EXPECT_EQ(Records(), 197U);
}

TEST_F(BatchIssueTest, ARepetitionMintsNothingAndAnswersTheSame) {
  BatchResults first;
  const BatchItems items = Items(1000);
  for (size_t begin = 0; begin < items.size(); begin += 100) {
    // Two losses: a third could meet the same item, which then gives up.
    store_.LoseNextWrite(FlakyTokenStore::Loses::kAnswer);
    store_.LoseNextWrite(FlakyTokenStore::Loses::kRequest);
    for (auto& result :
         Run({items.begin() + begin, items.begin() + begin + 100})) {
      first.push_back(std::move(result));
    }
  }
  const BatchResults second = Run(items);

  EXPECT_EQ(Records(), 1000U);
  std::set<std::string> tickets;
  for (size_t i = 0; i < 1000; ++i) {
    ASSERT_THAT(first[i], IsOk());
    ASSERT_THAT(second[i], IsOk());
    EXPECT_EQ(first[i]->ticket->text().Reveal(),
              second[i]->ticket->text().Reveal());
    tickets.emplace(first[i]->ticket->text().Reveal());
  }
  EXPECT_THAT(tickets, SizeIs(1000));
}

TEST_F(BatchIssueTest, WhatWasBegunBeforeTheAnswerWasLostIsNotMintedAgain) {
  std::atomic<int> asked = 0;
  const BatchResults broken = Run(Items(1000), [&] { return ++asked > 700; });
  const size_t begun = Records();
  EXPECT_GT(begun, 0U);
  EXPECT_LT(begun, 1000U);

  const BatchResults whole = Run(Items(1000));
  EXPECT_EQ(Records(), 1000U);
  for (size_t i = 0; i < 1000; ++i) {
    ASSERT_THAT(whole[i], IsOk());
    if (broken[i].ok()) {
      EXPECT_EQ(broken[i]->record.id, whole[i]->record.id);
    }
  }
}

TEST_F(BatchIssueTest, AClientThatGivesUpGetsNoMoreBegun) {
  std::atomic<bool> given_up = false;
  std::atomic<size_t> asked_in_vain = 0;
  store_.BeforeNextWrite([&] { given_up = true; });
  const BatchResults results = Run(Items(1000), [&] {
    if (given_up) ++asked_in_vain;
    return given_up.load();
  });

  EXPECT_LE(Records(), 8U) << "one on each thread, when it gave up";
  EXPECT_LE(asked_in_vain, 2 * kBatchWindow) << "the others were queued";
  ASSERT_THAT(results, SizeIs(1000));
  EXPECT_EQ(results.back().status(), NotBegun());
}

TEST_F(BatchIssueTest, ItemsWithoutARequestIdAreEachTheirOwn) {
  BatchItems items = Items(10);
  for (auto& item : items) {
    item->request_id = {};
    item->scope.node_name = "worker-same";
  }
  EXPECT_THAT(Run(items), ::testing::Each(IsOk()));
  EXPECT_EQ(Records(), 10U);
}

// A queue of one thread that is held until let go.
class HeldQueue {
 public:
  explicit HeldQueue(FairQueue::Options options) : queue_(options) {
    EXPECT_TRUE(queue_.TrySubmit("cn:holder", [this] {
      held_.count_down();
      go_.wait();
    }));
    held_.wait();
  }
  FairQueue& queue() { return queue_; }
  void LetGo() { go_.count_down(); }

 private:
  std::latch held_{1};
  std::latch go_{1};
  FairQueue queue_;
};

TEST_F(BatchIssueTest, AWindowIsInTheQueueAtOnce) {
  HeldQueue held({.threads = 1});
  std::promise<void> done;
  IssueBatch(broker_, held.queue(), alice_, Items(1000), Never,
             [&](const BatchResults&, const BatchTimes&) { done.set_value(); });
  EXPECT_EQ(held.queue().load().waiting, kBatchWindow);
  held.LetGo();
  done.get_future().wait();
  EXPECT_EQ(Records(), 1000U);
}

TEST_F(BatchIssueTest, AQueueThatTakesNothingEndsItAtOnce) {
  HeldQueue full({.threads = 1, .max_waiting = 0});
  std::promise<BatchResults> done;
  IssueBatch(broker_, full.queue(), alice_, Items(100), Never,
             [&](BatchResults results, const BatchTimes&) {
               done.set_value(std::move(results));
             });
  const BatchResults results = done.get_future().get();
  EXPECT_THAT(results, ::testing::Each(ReasonIs(reason::kOverloaded)));
  EXPECT_EQ(Records(), 0U);
  full.LetGo();
}

TEST_F(BatchIssueTest, AQueueThatTakesLittleMakesItSlowNotSmall) {
  HeldQueue small({.threads = 1, .max_waiting = 3, .max_waiting_of_one = 3});
  std::promise<BatchResults> done;
  IssueBatch(broker_, small.queue(), alice_, Items(100), Never,
             [&](BatchResults results, const BatchTimes&) {
               done.set_value(std::move(results));
             });
  small.LetGo();
  EXPECT_THAT(done.get_future().get(), ::testing::Each(IsOk()));
}

TEST_F(BatchIssueTest, AnotherCallersWorkIsNotBehindAllOfIt) {
  HeldQueue held({.threads = 1});
  std::promise<void> done;
  IssueBatch(broker_, held.queue(), alice_, Items(1000), Never,
             [&](const BatchResults&, const BatchTimes&) { done.set_value(); });
  std::promise<size_t> minted_before;
  ASSERT_TRUE(held.queue().TrySubmit(
      "cn:bob", [&] { minted_before.set_value(Records()); }));
  held.LetGo();
  EXPECT_LE(minted_before.get_future().get(), 1U);
  done.get_future().wait();
}

}  // namespace
}  // namespace latchkey
