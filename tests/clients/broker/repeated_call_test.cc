#include "clients/broker/repeated_call.h"

#include <vector>

#include <gmock/gmock.h>

#include "core/refusal.h"
#include "tests/clients/pace/fake_pace.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::FakeClock;
using latchkey_testing::FakePace;
using latchkey_testing::IsOk;
using latchkey_testing::StatusIs;

class RepeatedCallTest : public ::testing::Test {
 protected:
  // Calls that end with each of `ends` in turn, and then well.
  absl::Status Call(std::vector<absl::Status> ends,
                    absl::Duration timeout = absl::Seconds(30)) {
    calls_ = 0;
    return CallRepeatedly(pace_, timeout, [&](absl::Duration left) {
      left_.push_back(left);
      const auto i = static_cast<size_t>(calls_++);
      return i < ends.size() ? ends[i] : absl::OkStatus();
    });
  }

  FakeClock clock_;
  FakePace pace_{clock_};
  int calls_ = 0;
  std::vector<absl::Duration> left_;
};

TEST_F(RepeatedCallTest, RepeatsWhatPasses) {
  EXPECT_THAT(
      Call({absl::UnavailableError(""), absl::ResourceExhaustedError("")}),
      IsOk());
  EXPECT_EQ(calls_, 3);
  EXPECT_EQ(left_.front(), absl::Seconds(30));
  EXPECT_LT(left_.back(), absl::Seconds(30));
}

TEST_F(RepeatedCallTest, RepeatsNothingElse) {
  for (const absl::Status& status :
       {absl::PermissionDeniedError(""), absl::DeadlineExceededError(""),
        absl::InternalError(""),
        Refuse(absl::StatusCode::kResourceExhausted, "QUOTA_OUTSTANDING",
               "")}) {
    EXPECT_THAT(Call({status}), StatusIs(status.code()));
    EXPECT_EQ(calls_, 1);
  }
}

TEST_F(RepeatedCallTest, WaitsAsLongAsItIsAsked) {
  EXPECT_THAT(
      Call({WithRetryAfter(absl::UnavailableError(""), absl::Seconds(9))}),
      IsOk());
  EXPECT_GE(pace_.Elapsed(), absl::Seconds(9));
}

TEST_F(RepeatedCallTest, DoesNotWaitForWhatComesTooLate) {
  EXPECT_THAT(
      Call({WithRetryAfter(absl::UnavailableError("busy"), absl::Minutes(5))}),
      StatusIs(absl::StatusCode::kUnavailable, "busy"));
  EXPECT_EQ(calls_, 1);
  EXPECT_EQ(pace_.Elapsed(), absl::ZeroDuration());
}

TEST_F(RepeatedCallTest, EndsWithinItsTime) {
  EXPECT_THAT(Call(std::vector<absl::Status>(1000, absl::UnavailableError(""))),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_LT(pace_.Elapsed(), absl::Seconds(30));
  EXPECT_GT(calls_, 4);
}

}  // namespace
}  // namespace latchkey
