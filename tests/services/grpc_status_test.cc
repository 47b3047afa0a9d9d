#include "services/grpc_status.h"

#include <string>

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
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
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
  EXPECT_EQ(RetryAfterOf(received), absl::Seconds(3));
  EXPECT_THAT(FromGrpcStatus(ToGrpcStatus(absl::OkStatus())), IsOk());
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

TEST(GrpcStatusTest, TheServersPatienceIsPassedOn) {
  const absl::Status busy = WithRetryAfter(
      absl::ResourceExhaustedError("slow down"), absl::Microseconds(1200001));
  EXPECT_EQ(RetryAfterOf(FromGrpcStatus(ToGrpcStatus(busy))),
            absl::Milliseconds(1201))
      << "whole milliseconds, never sooner";
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
