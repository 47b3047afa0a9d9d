#include "core/refusal.h"

#include <optional>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/reasons.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using ::latchkey_testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(RefusalTest, CarriesCodeMessageReasonAndMetadata) {
  const absl::Status status =
      Refuse(absl::StatusCode::kPermissionDenied, reason::kPolicyDenied,
             "the policy says no", {{"b", "2"}, {"a", ""}, {"", "x"}});
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kPermissionDenied,
                               "the policy says no"));
  EXPECT_EQ(ReasonOf(status), "POLICY_DENIED");
  EXPECT_THAT(MetadataOf(status),
              ElementsAre(Pair("", "x"), Pair("a", ""), Pair("b", "2")));
}

TEST(RefusalTest, OtherStatusesHaveNeither) {
  for (const absl::Status& status :
       {absl::OkStatus(), absl::InternalError("x"),
        absl::Status(Refuse(absl::StatusCode::kNotFound, "", "x"))}) {
    SCOPED_TRACE(status.ToString());
    EXPECT_EQ(ReasonOf(status), "");
    EXPECT_THAT(MetadataOf(status), IsEmpty());
    EXPECT_EQ(RetryAfterOf(status), std::nullopt);
  }
}

TEST(RefusalTest, WhatFollowsANulIsDropped) {
  const absl::Status status =
      Refuse(absl::StatusCode::kNotFound, reason::kTokenUnknown, "x",
             {{std::string("k\0x", 3), std::string("v\0k2\0v2", 7)}});
  EXPECT_THAT(MetadataOf(status), ElementsAre(Pair("k", "v")));
}

TEST(RefusalTest, TheDelayStandsBesideTheReason) {
  const absl::Status refusal =
      Refuse(absl::StatusCode::kUnavailable, reason::kOverloaded, "busy",
             {{"a", "1"}});
  for (const absl::Duration delay :
       {absl::ZeroDuration(), absl::Milliseconds(1500), absl::Seconds(30),
        absl::Hours(100), absl::Nanoseconds(1), absl::InfiniteDuration()}) {
    SCOPED_TRACE(absl::FormatDuration(delay));
    const absl::Status status = WithRetryAfter(refusal, delay);
    EXPECT_EQ(RetryAfterOf(status), delay);
    EXPECT_EQ(ReasonOf(status), "OVERLOADED");
    EXPECT_THAT(MetadataOf(status), ElementsAre(Pair("a", "1")));
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable, "busy"));
  }
  EXPECT_EQ(RetryAfterOf(WithRetryAfter(
                WithRetryAfter(refusal, absl::Seconds(1)), absl::Seconds(2))),
            absl::Seconds(2));
  EXPECT_EQ(WithRetryAfter(refusal, std::nullopt), refusal);
}

TEST(RefusalTest, WhichOutcomesAreUnknown) {
  struct Case {
    absl::StatusCode code;
    bool want;
  };
  const Case cases[] = {
      {absl::StatusCode::kOk, false},
      {absl::StatusCode::kCancelled, true},
      {absl::StatusCode::kUnknown, true},
      {absl::StatusCode::kInvalidArgument, false},
      {absl::StatusCode::kDeadlineExceeded, true},
      {absl::StatusCode::kNotFound, false},
      {absl::StatusCode::kAlreadyExists, false},
      {absl::StatusCode::kPermissionDenied, false},
      {absl::StatusCode::kResourceExhausted, false},
      {absl::StatusCode::kFailedPrecondition, false},
      {absl::StatusCode::kAborted, false},
      {absl::StatusCode::kOutOfRange, false},
      {absl::StatusCode::kUnimplemented, false},
      {absl::StatusCode::kInternal, true},
      {absl::StatusCode::kUnavailable, true},
      {absl::StatusCode::kDataLoss, true},
      {absl::StatusCode::kUnauthenticated, false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(absl::StatusCodeToString(c.code));
    EXPECT_EQ(OutcomeIsUnknown(absl::Status(c.code, "x")), c.want);
  }
}

}  // namespace
}  // namespace latchkey
