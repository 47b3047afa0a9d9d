#include "services/rate_limiter.h"

#include <string>

#include <gmock/gmock.h>

namespace latchkey {
namespace {

constexpr Rate kRate{.per_second = 2, .burst = 3};
const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);

TEST(RateLimiterTest, ABurstThenTheRate) {
  RateLimiter limiter;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(limiter.Take("a", kRate, 1, kStart), std::nullopt);
  }
  EXPECT_EQ(limiter.Take("a", kRate, 1, kStart), absl::Milliseconds(500));
  EXPECT_EQ(limiter.Take("b", kRate, 1, kStart), std::nullopt) << "its own";
  EXPECT_EQ(limiter.Take("a", kRate, 1, kStart + absl::Milliseconds(500)),
            std::nullopt);
  EXPECT_EQ(limiter.Take("a", kRate, 1, kStart + absl::Milliseconds(500)),
            absl::Milliseconds(500));
}

TEST(RateLimiterTest, ARefusalCostsNothing) {
  RateLimiter limiter;
  for (int i = 0; i < 100; ++i) limiter.Take("a", kRate, 1, kStart);
  EXPECT_EQ(limiter.Take("a", kRate, 1, kStart + absl::Seconds(1)),
            std::nullopt);
}

TEST(RateLimiterTest, AQuietCallerSavesNoMoreThanTheBurst) {
  RateLimiter limiter;
  limiter.Take("a", kRate, 1, kStart);
  const absl::Time later = kStart + absl::Hours(24);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(limiter.Take("a", kRate, 1, later), std::nullopt);
  }
  EXPECT_NE(limiter.Take("a", kRate, 1, later), std::nullopt);
}

TEST(RateLimiterTest, WhatCostsMoreThanTheBurstIsWorkedOffAfter) {
  RateLimiter limiter;
  EXPECT_EQ(limiter.Take("a", kRate, 11, kStart), std::nullopt);
  EXPECT_EQ(limiter.Take("a", kRate, 1, kStart), absl::Seconds(4.5));
  EXPECT_EQ(limiter.Take("a", kRate, 1, kStart + absl::Seconds(4.5)),
            std::nullopt);
}

TEST(RateLimiterTest, AClockSetBackFillsNothingAndBreaksNothing) {
  RateLimiter limiter;
  for (int i = 0; i < 3; ++i) limiter.Take("a", kRate, 1, kStart);
  EXPECT_NE(limiter.Take("a", kRate, 1, kStart - absl::Hours(1)), std::nullopt);
  EXPECT_EQ(limiter.Take("a", kRate, 1,
                         kStart - absl::Hours(1) + absl::Milliseconds(500)),
            std::nullopt);
}

TEST(RateLimiterTest, RemembersNoMoreCallersThanItMay) {
  RateLimiter limiter(10);
  for (int i = 0; i < 1000; ++i) {
    limiter.Take(std::to_string(i), kRate, 3, kStart);
    // Whoever keeps calling is not the one that is forgotten.
    limiter.Take("busy", kRate, 1, kStart);
  }
  EXPECT_EQ(limiter.size(), 10U);
  EXPECT_NE(limiter.Take("busy", kRate, 1, kStart), std::nullopt);
}

TEST(RateLimiterTest, ARateOfNothingIsNoDivisionByIt) {
  RateLimiter limiter;
  const Rate none{.per_second = 0, .burst = 1};
  EXPECT_EQ(limiter.Take("a", none, 1, kStart), std::nullopt);
  EXPECT_EQ(limiter.Take("a", none, 1, kStart), absl::Hours(1));
}

}  // namespace
}  // namespace latchkey
