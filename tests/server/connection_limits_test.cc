#include "server/connection_limits.h"

#include <gmock/gmock.h>

#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(ConnectionLimitsTest, BothPortsLeaveTheBrokerWhatItNeeds) {
  for (const size_t files : {kFewestOpenFiles, size_t{128}, size_t{256},
                             size_t{1024}, size_t{20'000}, size_t{1'048'576}}) {
    SCOPED_TRACE(files);
    const auto limits = FitConnections(std::nullopt, std::nullopt, files);
    ASSERT_THAT(limits, IsOk());
    EXPECT_GE(limits->all, 16U);
    EXPECT_LE(2 * limits->all + 64, files);
    EXPECT_LE(limits->all, ConnectionLimits().all);
    EXPECT_EQ(limits->of_one, (limits->all + 3) / 4);
  }
  const auto usual = FitConnections(std::nullopt, std::nullopt, 1024);
  ASSERT_THAT(usual, IsOk());
  EXPECT_EQ(usual->all, 384U);
}

TEST(ConnectionLimitsTest, WhatIsConfiguredHoldsOrIsRefused) {
  const auto limits = FitConnections(300, 7, 1024);
  ASSERT_THAT(limits, IsOk());
  EXPECT_EQ(limits->all, 300U);
  EXPECT_EQ(limits->of_one, 7U);
  EXPECT_THAT(FitConnections(500, 7, 1024),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("limits.connections: 500"),
                             HasSubstr("1024"), HasSubstr("ulimit -n"))));
  EXPECT_THAT(FitConnections(std::nullopt, std::nullopt, 64),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(ConnectionLimitsTest, OnePeerNeverHasMoreThanAll) {
  const auto limits = FitConnections(std::nullopt, 1'000'000, 1024);
  ASSERT_THAT(limits, IsOk());
  EXPECT_EQ(limits->of_one, limits->all);
}

}  // namespace
}  // namespace latchkey
