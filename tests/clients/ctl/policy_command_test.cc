#include "clients/ctl/policy_command.h"

#include <string>

#include <gmock/gmock.h>

#include "tests/clients/ctl/ctl_test.h"

namespace latchkey {
namespace {

using latchkey_testing::CtlResult;
using latchkey_testing::CtlTest;
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

class PolicyCommandTest : public CtlTest {
 protected:
  CtlResult Judge(const std::string& text) {
    return Run({"policy", "test", dir_.Write("broker.yaml", text)});
  }
};

TEST_F(PolicyCommandTest, PrintsALineForEachTest) {
  const CtlResult result = Judge(kPolicy);
  EXPECT_EQ(result.exit_code, kDone) << result.err;
  EXPECT_EQ(result.out,
            "ok    ci mints workers\n"
            "ok    and nothing else\n"
            "1 rules, 2 self-tests, 0 failed\n");
}

TEST_F(PolicyCommandTest, AnswersScripts) {
  std::string text = kPolicy;
  text.replace(text.find("control-1"), 9, "worker-99");
  const std::string file = dir_.Write("broker.yaml", text);
  const CtlResult json = Run({"policy", "test", file, "-o", "json"});
  EXPECT_EQ(json.exit_code, kBadUsage);
  EXPECT_THAT(json.out,
              AllOf(HasSubstr("{\"rules\": 1, \"failed\": 1, \"tests\": "
                              "[{\"name\": \"ci mints workers\", "),
                    HasSubstr("\"ok\": true}"), HasSubstr("\"ok\": false, "),
                    HasSubstr("\"failure\": \"expected deny, came allow")));
  EXPECT_THAT(Run({"policy", "test", file, "-o", "yaml"}).out,
              HasSubstr("failed: 1\n"));
}

TEST_F(PolicyCommandTest, SaysWhatFailedAndWhere) {
  std::string text = kPolicy;
  text.replace(text.find("control-1"), 9, "worker-99");
  const CtlResult result = Judge(text);
  EXPECT_EQ(result.exit_code, kBadUsage);
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("ok    ci mints workers\n"),
                    HasSubstr("FAIL  and nothing else\n"),
                    HasSubstr("broker.yaml:11: policy_tests[1]: expected "
                              "deny, came allow by rule 'workers'\n"),
                    HasSubstr("1 rules, 2 self-tests, 1 failed\n")));
}

TEST_F(PolicyCommandTest, ATestThatIsMisspeltIsNoTestThatPassed) {
  std::string text = kPolicy;
  text.replace(text.find("policy_tests"), 12, "policy_test");
  const CtlResult misspelt = Judge(text);
  EXPECT_EQ(misspelt.exit_code, kBadUsage);
  EXPECT_THAT(misspelt.err, HasSubstr("policy_test"));
  text.resize(text.find("policy_test"));
  const CtlResult none = Judge(text);
  EXPECT_EQ(none.exit_code, kDone);
  EXPECT_THAT(none.err, HasSubstr("warning: "));
  EXPECT_EQ(Judge(kPolicy).err, "");
}

TEST_F(PolicyCommandTest, AFileThatIsWrongIsToldWithItsMistakes) {
  CtlResult result = Judge("policy: [{name: a}]");
  EXPECT_EQ(result.exit_code, kBadUsage);
  EXPECT_THAT(result.err, HasSubstr("broker.yaml:1: policy[0]"));
  EXPECT_EQ(result.out, "");
  result = Run({"policy", "test", "/nonexistent/broker.yaml"});
  EXPECT_EQ(result.exit_code, kBadUsage);
  EXPECT_THAT(result.err, HasSubstr("/nonexistent/broker.yaml"));
}

}  // namespace
}  // namespace latchkey
