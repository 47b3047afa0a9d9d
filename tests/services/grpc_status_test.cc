#include "services/grpc_status.h"

#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "clients/broker/grpc_error.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "google/rpc/error_details.pb.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::ReasonIs;
using latchkey_testing::StatusIs;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;
using ::testing::Not;
using ::testing::Optional;
using ::testing::Pair;

TEST(GrpcStatusTest, ARefusalArrivesWhole) {
  const absl::Status refusal = WithRetryAfter(
      Refuse(absl::StatusCode::kPermissionDenied, reason::kPolicyDenied,
             "rule 'a' does not allow this lifetime",
             {{"rule", "a"}, {"field", "lifetime"}}),
      absl::Seconds(3));

  const absl::Status received = FromGrpcStatus(ToGrpcStatus(refusal));
  EXPECT_THAT(received, StatusIs(absl::StatusCode::kPermissionDenied,
                                 "rule 'a' does not allow this lifetime"));
  EXPECT_THAT(received, ReasonIs(reason::kPolicyDenied));
  EXPECT_THAT(MetadataOf(received), Contains(Pair("rule", "a")));
  EXPECT_THAT(RetryAfterOf(received),
              Optional(AllOf(Ge(absl::Seconds(3)), Le(absl::Seconds(6)))));
  EXPECT_THAT(FromGrpcStatus(ToGrpcStatus(absl::OkStatus())), IsOk());
}

TEST(GrpcStatusTest, WhoIsNotKnownHearsTheSameWhateverWasWrong) {
  const auto heard = [](std::string_view message) {
    return FromGrpcStatus(ToGrpcStatus(
        Refuse(absl::StatusCode::kUnauthenticated, reason::kUnauthenticated,
               message, {{"key", std::string(message)}})));
  };
  EXPECT_THAT(heard("expired"), ReasonIs(reason::kUnauthenticated));
  EXPECT_THAT(heard("expired"), StatusIs(absl::StatusCode::kUnauthenticated));
  EXPECT_EQ(heard("expired"), heard("forged"));
  EXPECT_EQ(PublicStatus(heard("expired")), heard("expired"));
}

TEST(GrpcStatusTest, OtherErrorsLoseTheirDetails) {
  struct Case {
    absl::StatusCode code;
    absl::StatusCode want;
    std::string_view reason;
  };
  using enum absl::StatusCode;
  const Case cases[] = {
      {kUnavailable, kUnavailable, reason::kClusterUnavailable},
      {kDeadlineExceeded, kUnavailable, reason::kClusterUnavailable},
      {kCancelled, kUnavailable, reason::kClusterUnavailable},
      {kAborted, kUnavailable, reason::kClusterUnavailable},
      {kResourceExhausted, kResourceExhausted, reason::kOverloaded},
      {kInternal, kInternal, reason::kInternal},
      {kUnknown, kInternal, reason::kInternal},
      {kDataLoss, kInternal, reason::kInternal},
      {kPermissionDenied, kInternal, reason::kInternal},
      {kUnauthenticated, kInternal, reason::kInternal},
      {kNotFound, kInternal, reason::kInternal},
      {kAlreadyExists, kInternal, reason::kInternal},
      {kFailedPrecondition, kInternal, reason::kInternal},
      {kInvalidArgument, kInternal, reason::kInternal},
      {kOutOfRange, kInternal, reason::kInternal},
      {kUnimplemented, kInternal, reason::kInternal},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(absl::StatusCodeToString(c.code));
    const absl::Status received = FromGrpcStatus(
        ToGrpcStatus(absl::Status(c.code, "secrets \"x\" at 10.0.0.1")));
    EXPECT_THAT(received, StatusIs(c.want));
    EXPECT_THAT(received, ReasonIs(c.reason));
    EXPECT_THAT(received.ToString(), Not(HasSubstr("10.0.0.1")));
  }
}

// As its caller is told, a hundred times.
std::vector<absl::Duration> DelaysOf(const absl::Status& status) {
  std::vector<absl::Duration> delays;
  for (int i = 0; i < 100; ++i) {
    delays.push_back(RetryAfterOf(FromGrpcStatus(ToGrpcStatus(status)))
                         .value_or(absl::InfiniteDuration()));
  }
  return delays;
}

TEST(GrpcStatusTest, TheServersPatienceIsPassedOnAndSpread) {
  const auto delays = DelaysOf(WithRetryAfter(
      absl::ResourceExhaustedError("slow down"), absl::Microseconds(1200001)));
  EXPECT_THAT(delays, Each(AllOf(Ge(absl::Milliseconds(1201)),
                                 Le(absl::Milliseconds(2401)))));
  EXPECT_GT(std::set<absl::Duration>(delays.begin(), delays.end()).size(), 50U)
      << "they would come back together";
  for (const absl::Duration delay : delays) {
    EXPECT_EQ(delay, absl::Trunc(delay, absl::Milliseconds(1)));
  }
}

// Whoever made the refusal, and whether or not it said when to come back.
TEST(GrpcStatusTest, WhatPassesByItselfSaysWhenToComeBack) {
  struct Case {
    absl::Status status;
    absl::Duration least;
  };
  using enum absl::StatusCode;
  const Case cases[] = {
      {absl::ResourceExhaustedError("429"), absl::Seconds(1)},
      {Overloaded(), absl::Seconds(1)},
      {Refuse(kUnavailable, reason::kAuditUnavailable, "a"), absl::Seconds(1)},
      {Refuse(kUnavailable, reason::kBrokerStopping, "b"), absl::Seconds(1)},
      {Refuse(kResourceExhausted, reason::kTooManyWatches, "c"),
       absl::Seconds(10)},
      {WithRetryAfter(Refuse(kUnavailable, reason::kIssuerUnavailable, "d"),
                      absl::Seconds(5)),
       absl::Seconds(5)},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.status.ToString());
    const auto delays = DelaysOf(c.status);
    EXPECT_THAT(delays, Each(AllOf(Ge(c.least), Le(2 * c.least))));
    EXPECT_GT(std::set<absl::Duration>(delays.begin(), delays.end()).size(),
              50U);
  }
  EXPECT_THAT(DelaysOf(Refuse(kPermissionDenied, reason::kPolicyDenied, "e")),
              Each(absl::InfiniteDuration()));
}

TEST(GrpcStatusTest, ForeignAndBrokenDetailsAreIgnored) {
  const absl::Status received = FromGrpcStatus(
      grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone", "\xff\xff\xff"));
  EXPECT_THAT(received, StatusIs(absl::StatusCode::kUnavailable, "gone"));
  EXPECT_EQ(ReasonOf(received), "");
}

TEST(GrpcStatusTest, AQuotaSaysHowMuchItAllows) {
  const grpc::Status status = ToGrpcStatus(
      Refuse(absl::StatusCode::kResourceExhausted, reason::kQuotaOutstanding,
             "10 tokens are unused", {{"rule", "workers"}, {"limit", "10"}}));
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  ASSERT_EQ(details.details_size(), 2);
  google::rpc::QuotaFailure quota;
  ASSERT_TRUE(details.details(1).UnpackTo(&quota));
  EXPECT_EQ(quota.violations(0).subject(), "rule:workers");
  EXPECT_EQ(quota.violations(0).description(), "10 tokens are unused");
}

TEST(GrpcStatusTest, AllTheWatchesThereMayBeAreAQuota) {
  const grpc::Status status = ToGrpcStatus(
      Refuse(absl::StatusCode::kResourceExhausted, reason::kTooManyWatches,
             "the caller has 100 watches open already", {{"limit", "100"}}));
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  google::rpc::QuotaFailure quota;
  bool found = false;
  for (const auto& detail : details.details()) {
    found = found || detail.UnpackTo(&quota);
  }
  ASSERT_TRUE(found);
  EXPECT_EQ(quota.violations(0).subject(), "watches");
  EXPECT_EQ(quota.violations(0).description(),
            "the caller has 100 watches open already");
}

TEST(GrpcStatusTest, WhatIsInTheWrongStateIsNamed) {
  const grpc::Status wire = ToGrpcStatus(
      Refuse(absl::StatusCode::kFailedPrecondition, reason::kTokenSpent,
             "it is spent", {{"token", "abc123"}}));
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(wire.error_details()));
  google::rpc::PreconditionFailure failure;
  bool found = false;
  for (const auto& detail : details.details()) {
    found = found || detail.UnpackTo(&failure);
  }
  ASSERT_TRUE(found);
  EXPECT_EQ(failure.violations(0).type(), "TOKEN_SPENT");
  EXPECT_EQ(failure.violations(0).subject(), "abc123");
}

}  // namespace
}  // namespace latchkey
