#include "clients/ctl/policy_command.h"

#include <string>

#include <gmock/gmock.h>

#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::StatusIs;
using latchkey_testing::TempDir;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kPolicy[] = R"(
policy:
  - name: workers
    provisioners: [{common_name: ci}]
    allow: {node_names: ["worker-*"]}
policy_tests:
  - name: ci mints workers
    identity: {common_name: ci}
    request: {node_name: worker-1}
    expect: allow
  - name: and nothing else
    identity: {common_name: ci}
    request: {node_name: control-1}
    expect: deny
)";

// What it prints is caught beside what it answers.
absl::Status Judge(const std::string& text, std::string& out) {
  const TempDir dir;
  testing::internal::CaptureStdout();
  const absl::Status status =
      RunPolicyTest({.file = dir.Write("broker.yaml", text)});
  out = testing::internal::GetCapturedStdout();
  return status;
}

TEST(PolicyCommandTest, PrintsALineForEachTest) {
  std::string out;
  EXPECT_THAT(Judge(kPolicy, out), IsOk());
  EXPECT_EQ(out,
            "ok    ci mints workers\n"
            "ok    and nothing else\n"
            "1 rules, 2 self-tests, 0 failed\n");
}

TEST(PolicyCommandTest, SaysWhatFailedAndWhere) {
  std::string text = kPolicy;
  text.replace(text.find("control-1"), 9, "worker-99");
  std::string out;
  EXPECT_THAT(Judge(text, out), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(out, AllOf(HasSubstr("ok    ci mints workers\n"),
                         HasSubstr("FAIL  and nothing else\n"),
                         HasSubstr("broker.yaml:11: policy_tests[1]: expected "
                                   "deny, came allow by rule 'workers'\n"),
                         HasSubstr("1 rules, 2 self-tests, 1 failed\n")));
}

TEST(PolicyCommandTest, AFileThatIsWrongIsToldWithItsMistakes) {
  std::string out;
  EXPECT_THAT(Judge("policy: [{name: a}]", out),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("broker.yaml:1: policy[0]")));
  EXPECT_EQ(out, "");
  EXPECT_THAT(RunPolicyTest({.file = "/nonexistent/broker.yaml"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("/nonexistent/broker.yaml")));
}

}  // namespace
}  // namespace latchkey
