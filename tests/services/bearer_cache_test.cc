#include "services/bearer_cache.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_execution.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/wait_until.h"

namespace latchkey {
namespace {

using latchkey_testing::FakeClock;
using latchkey_testing::FakeExecution;
using latchkey_testing::IsOk;
using latchkey_testing::ReasonIs;
using latchkey_testing::StatusIs;
using latchkey_testing::WaitUntil;

absl::Status Refused() {
  return Refuse(absl::StatusCode::kUnauthenticated, reason::kUnauthenticated,
                "no");
}

class BearerCacheTest : public ::testing::Test {
 protected:
  // Asks about `token`, with this verdict if it is not remembered.
  absl::StatusOr<TimedIdentity> Ask(const std::string& token,
                                    absl::StatusOr<TimedIdentity> verdict) {
    return cache_.IdentityOf(token, [&] {
      ++asked_;
      return verdict;
    });
  }
  TimedIdentity Good(const std::string& name,
                     absl::Duration expires = absl::Hours(1)) {
    return {.identity = {.name = name}, .expires = clock_.Now() + expires};
  }

  FakeClock clock_;
  BearerCache cache_{clock_};
  std::atomic<int> asked_ = 0;
};

TEST_F(BearerCacheTest, AGoodTokenIsGoodForAMinute) {
  EXPECT_EQ(cache_.Known("t"), std::nullopt);
  EXPECT_EQ(Ask("t", Good("a"))->identity.name, "a");
  clock_.Advance(absl::Seconds(59));
  EXPECT_EQ(Ask("t", Good("b"))->identity.name, "a");
  EXPECT_EQ((*cache_.Known("t"))->identity.name, "a");
  EXPECT_EQ(cache_.Known("T"), std::nullopt);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(cache_.Known("t"), std::nullopt);
  EXPECT_THAT(Ask("t", Refused()), ReasonIs(reason::kUnauthenticated));
  EXPECT_EQ(asked_, 2);
}

TEST_F(BearerCacheTest, ButNotBeyondItsOwnTime) {
  EXPECT_THAT(Ask("t", Good("a", absl::Seconds(10))), IsOk());
  clock_.Advance(absl::Seconds(9));
  EXPECT_NE(cache_.Known("t"), std::nullopt);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(cache_.Known("t"), std::nullopt);
}

TEST_F(BearerCacheTest, AnAnswerSaysUntilWhenItIsToBeBelieved) {
  const absl::Time seen = clock_.Now();
  EXPECT_EQ(Ask("long", Good("a"))->expires, seen + BearerCache::kGoodFor);
  EXPECT_EQ(Ask("brief", Good("a", absl::Seconds(10)))->expires,
            seen + absl::Seconds(10));
  clock_.Advance(absl::Seconds(5));
  EXPECT_EQ((*cache_.Known("long"))->expires, seen + BearerCache::kGoodFor)
      << "since it was verified, not since it was asked for";
  EXPECT_EQ(Ask("brief", Refused())->expires, seen + absl::Seconds(10));
}

TEST_F(BearerCacheTest, ARefusedTokenIsRefusedForFiveSeconds) {
  EXPECT_THAT(Ask("t", Refused()), ReasonIs(reason::kUnauthenticated));
  clock_.Advance(absl::Seconds(4));
  EXPECT_THAT(Ask("t", Good("a")), ReasonIs(reason::kUnauthenticated));
  clock_.Advance(absl::Seconds(1));
  EXPECT_THAT(Ask("t", Good("a")), IsOk());
}

TEST_F(BearerCacheTest, AClockThatIsSetBackMakesNothingGoodForLonger) {
  FakeExecution time;
  EXPECT_THAT(Ask("good", Good("a")), IsOk());
  EXPECT_THAT(Ask("bad", Refused()), ReasonIs(reason::kUnauthenticated));
  clock_.Advance(-absl::Hours(1));
  time.Advance(absl::Seconds(4));
  EXPECT_NE(cache_.Known("bad"), std::nullopt);
  time.Advance(absl::Seconds(1));
  EXPECT_EQ(cache_.Known("bad"), std::nullopt);
  time.Advance(absl::Seconds(54));
  EXPECT_NE(cache_.Known("good"), std::nullopt);
  time.Advance(absl::Seconds(1));
  EXPECT_EQ(cache_.Known("good"), std::nullopt);
}

TEST_F(BearerCacheTest, WhatIsNoVerdictIsForgotten) {
  // The last is the API server's word about us, not about the token.
  for (const absl::Status& error :
       {absl::UnavailableError("x"), absl::PermissionDeniedError("x"),
        absl::UnauthenticatedError("x")}) {
    EXPECT_THAT(Ask("t", error), StatusIs(error.code()));
    EXPECT_EQ(cache_.Known("t"), std::nullopt);
  }
  EXPECT_THAT(Ask("t", Good("a")), IsOk());
}

TEST_F(BearerCacheTest, IsBoundedAndStrangersPushOutNobody) {
  EXPECT_THAT(Ask("mine", Good("a")), IsOk());
  for (size_t i = 0; i < 2 * BearerCache::kMaxKnown; ++i) {
    EXPECT_THAT(Ask("stranger" + std::to_string(i), Refused()),
                ReasonIs(reason::kUnauthenticated));
  }
  EXPECT_NE(cache_.Known("mine"), std::nullopt);
  EXPECT_EQ(cache_.Known("stranger0"), std::nullopt);
  for (size_t i = 0; i < BearerCache::kMaxKnown; ++i) {
    EXPECT_THAT(Ask("t" + std::to_string(i), Good("b")), IsOk());
  }
  EXPECT_EQ(cache_.Known("mine"), std::nullopt) << "all were forgotten";
}

TEST_F(BearerCacheTest, ThoseWhoAskAtOnceAskOnce) {
  constexpr int kCallers = 8;
  std::atomic<int> came = 0;
  std::atomic<int> agreed = 0;
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < kCallers; ++i) {
      callers.emplace_back([&] {
        ++came;
        const auto identity = cache_.IdentityOf("t", [&] {
          ++asked_;
          WaitUntil([&] { return came == kCallers; });
          return absl::StatusOr<TimedIdentity>(Good("a"));
        });
        if (identity.ok() && identity->identity.name == "a") ++agreed;
      });
    }
  }
  EXPECT_EQ(asked_, 1);
  EXPECT_EQ(agreed, kCallers);
}

TEST_F(BearerCacheTest, AFailureIsToldToAllWhoWait) {
  constexpr int kCallers = 4;
  std::atomic<int> came = 0;
  std::atomic<int> failed = 0;
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < kCallers; ++i) {
      callers.emplace_back([&] {
        ++came;
        const auto identity = cache_.IdentityOf("t", [&] {
          WaitUntil([&] { return came == kCallers; });
          return absl::StatusOr<TimedIdentity>(absl::UnavailableError("x"));
        });
        if (absl::IsUnavailable(identity.status())) ++failed;
      });
    }
  }
  EXPECT_EQ(failed, kCallers);
  EXPECT_THAT(Ask("t", Good("a")), IsOk());
}

}  // namespace
}  // namespace latchkey
