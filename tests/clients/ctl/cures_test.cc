#include "clients/ctl/cures.h"

#include <regex>
#include <set>
#include <string>

#include <gmock/gmock.h>

#include "core/refusal.h"
#include "tests/testing/temp_dir.h"

namespace latchkey {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// A line of its own, which says something.
auto EndsWithACure() {
  return ::testing::ContainsRegex("\nwhat to do: [^\n]{8,}\n$");
}

// What only a machine's calls and CSRs are refused for.
bool IsOfMachines(const std::string& reason) {
  static const std::set<std::string> kOthers = {"TOKEN_NOT_CLAIMED",
                                                "TOKEN_RESERVED"};
  return reason.starts_with("TICKET_") || reason.starts_with("CSR_") ||
         reason.starts_with("SCOPE_") || kOthers.contains(reason);
}

TEST(CuresTest, EveryReasonThatAProvisionerCanGetHasACure) {
  const std::string header =
      latchkey_testing::ReadFile(LATCHKEY_SOURCE_DIR "/core/reasons.h");
  const std::regex quoted("\"([A-Z_]+)\"");
  int reasons = 0;
  for (std::sregex_iterator it(header.begin(), header.end(), quoted), end;
       it != end; ++it) {
    const std::string reason = (*it)[1];
    ++reasons;
    EXPECT_EQ(CureOf(reason).empty(), IsOfMachines(reason)) << reason;
    EXPECT_THAT(
        ErrorText(Refuse(absl::StatusCode::kPermissionDenied, reason, "x")),
        EndsWithACure());
  }
  EXPECT_GT(reasons, 20);
}

TEST(CuresTest, AnErrorEndsWithWhatToDo) {
  EXPECT_EQ(ErrorText(Refuse(absl::StatusCode::kPermissionDenied,
                             "POLICY_DENIED", "no rule\x1b", {{"rule", "a"}})),
            "latchkeyctl: no rule\\x1b\nreason: POLICY_DENIED\n  rule: a\n"
            "what to do: ask for what the rule allows, or have the broker's "
            "policy changed\n")
      << "whatever was asked for: a list too may be denied";
  EXPECT_THAT(
      ErrorText(Refuse(absl::StatusCode::kUnavailable, "NEW_REASON", "x")),
      HasSubstr("docs/errors.md"));
  EXPECT_THAT(ErrorText(absl::UnavailableError("connection refused")),
              HasSubstr("is the endpoint right"));
  EXPECT_THAT(ErrorText(absl::InvalidArgumentError("a.yaml:1: x\na.yaml:2: y")),
              AllOf(HasSubstr("x\na.yaml:2: y\n"), HasSubstr("--help")))
      << "mistakes of a file are a line each";
}

TEST(CuresTest, AnErrorOfAnyCodeEndsWithWhatToDo) {
  for (int code = 1; code <= 16; ++code) {
    EXPECT_THAT(
        ErrorText(absl::Status(static_cast<absl::StatusCode>(code), "x")),
        EndsWithACure())
        << code;
  }
  EXPECT_THAT(ErrorText(absl::Status(static_cast<absl::StatusCode>(99), "x")),
              EndsWithACure());
}

TEST(CuresTest, AnErrorMayHaveACureOfItsOwn) {
  const absl::Status error =
      WithCure(absl::UnavailableError("f: cannot read"), "name another file");
  EXPECT_EQ(ErrorText(error),
            "latchkeyctl: f: cannot read\nwhat to do: name another file\n");
  EXPECT_EQ(ExitCodeOf(error), 1);
}

TEST(CuresTest, AFieldOfTheProtocolIsCalledByItsFlag) {
  EXPECT_THAT(ErrorText(InvalidField("labels", "at most 16")),
              HasSubstr("what to do: correct --label, and"));
  EXPECT_THAT(ErrorText(InvalidField("strange", "x")),
              HasSubstr("what to do: correct the field"));
  EXPECT_THAT(ErrorText(WithCure(InvalidField("labels", "x"), "nearer")),
              HasSubstr("what to do: nearer\n"));
}

TEST(CuresTest, TheExitCodeSaysWhetherToTryAgain) {
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), 0);
  EXPECT_EQ(ExitCodeOf(absl::UnavailableError("")), 1);
  EXPECT_EQ(ExitCodeOf(absl::DeadlineExceededError("")), 1);
  EXPECT_EQ(ExitCodeOf(absl::InvalidArgumentError("")), 2);
  EXPECT_EQ(ExitCodeOf(Refuse(absl::StatusCode::kInvalidArgument,
                              "INVALID_FIELD", "")),
            2);
  EXPECT_EQ(ExitCodeOf(absl::UnauthenticatedError("")), 3);
}

}  // namespace
}  // namespace latchkey
