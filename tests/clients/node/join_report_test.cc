#include "clients/node/join_report.h"

#include <algorithm>
#include <string>

#include <gmock/gmock.h>

#include "core/refusal.h"

namespace latchkey {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr absl::Time kNow = absl::UnixEpoch();

TEST(JoinReportTest, EveryCodeHasAVerdict) {
  struct Case {
    absl::StatusCode code;
    JoinVerdict want;
  };
  using enum absl::StatusCode;
  for (const Case& c : {
           Case{kOk, JoinVerdict::kJoined},
           Case{kInvalidArgument, JoinVerdict::kBadConfiguration},
           Case{kPermissionDenied, JoinVerdict::kRefused},
           Case{kUnavailable, JoinVerdict::kTryAgain},
           Case{kDeadlineExceeded, JoinVerdict::kTryAgain},
           Case{kFailedPrecondition, JoinVerdict::kError},
           Case{kInternal, JoinVerdict::kError},
           Case{kUnknown, JoinVerdict::kError},
           Case{kNotFound, JoinVerdict::kError},
       }) {
    EXPECT_EQ(VerdictOf(absl::Status(c.code, "")), c.want)
        << absl::StatusCodeToString(c.code);
  }
}

// Supervisors act on these numbers.
TEST(JoinReportTest, ExitCodesAreStable) {
  EXPECT_EQ(static_cast<int>(JoinVerdict::kJoined), 0);
  EXPECT_EQ(static_cast<int>(JoinVerdict::kError), 1);
  EXPECT_EQ(static_cast<int>(JoinVerdict::kBadConfiguration), 2);
  EXPECT_EQ(static_cast<int>(JoinVerdict::kRefused), 3);
  EXPECT_EQ(static_cast<int>(JoinVerdict::kTryAgain), 4);
}

TEST(JoinReportTest, ReportsForPeopleAndForPrograms) {
  const JoinProgress progress = {
      "claim", "the broker gave the token", {{"token", "abcdef"}, {"no", ""}}};
  EXPECT_EQ(ReportLine(ReportFormat::kText, progress, kNow),
            "latchkey-join: the broker gave the token\n");
  EXPECT_EQ(ReportLine(ReportFormat::kJson, progress, kNow),
            "{\"time\":\"1970-01-01T00:00:00.000Z\",\"event\":\"claim\","
            "\"message\":\"the broker gave the token\",\"token\":\"abcdef\"}"
            "\n");
}

TEST(JoinReportTest, SaysWhoHasJoinedAndForHowLong) {
  JoinResult result;
  result.certificate.not_after = kNow + absl::Hours(1);
  EXPECT_EQ(VerdictLine(ReportFormat::kText, "node-1", result, kNow),
            "latchkey-join: joined as node-1; the certificate is valid until "
            "1970-01-01T01:00:00Z\n");
  result.kind = JoinResult::Kind::kAlreadyJoined;
  EXPECT_THAT(VerdictLine(ReportFormat::kText, "node-1", result, kNow),
              HasSubstr("already joined as node-1"));
  EXPECT_THAT(VerdictLine(ReportFormat::kJson, "node-1", result, kNow),
              AllOf(HasSubstr(R"("verdict":"joined")"),
                    HasSubstr(R"("already":"true")"),
                    HasSubstr(R"("not_after":"1970-01-01T01:00:00Z")")));
}

TEST(JoinReportTest, SaysWhyNotWithTheReason) {
  const absl::Status refused = Refuse(absl::StatusCode::kPermissionDenied,
                                      "TICKET_UNKNOWN", "no such ticket");
  EXPECT_EQ(VerdictLine(ReportFormat::kText, "node-1", refused, kNow),
            "latchkey-join: refused: no such ticket (TICKET_UNKNOWN)\n");
  EXPECT_THAT(VerdictLine(ReportFormat::kJson, "node-1", refused, kNow),
              AllOf(HasSubstr(R"("verdict":"refused")"),
                    HasSubstr(R"("reason":"TICKET_UNKNOWN")")));
}

TEST(JoinReportTest, ListsMistakesALineEach) {
  EXPECT_EQ(VerdictLine(ReportFormat::kText, "",
                        absl::InvalidArgumentError("a:1: x\na:2: y"), kNow),
            "latchkey-join: bad configuration\na:1: x\na:2: y\n");
}

TEST(JoinReportTest, WhatOthersSaidCannotPaintTheTerminalOrForgeALine) {
  const absl::Status hostile =
      absl::PermissionDeniedError("no\x1b[2J\nlatchkey-join: joined\r\x7f");
  for (const ReportFormat format : {ReportFormat::kText, ReportFormat::kJson}) {
    const std::string line = VerdictLine(format, "node-1", hostile, kNow);
    EXPECT_THAT(line, AllOf(Not(HasSubstr("\x1b")), Not(HasSubstr("\r")),
                            Not(HasSubstr("\x7f"))));
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  }
}

}  // namespace
}  // namespace latchkey
