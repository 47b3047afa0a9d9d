#include "policy/policy_self_test.h"

#include <gmock/gmock.h>

#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Expect = PolicySelfTest::Expect;

Policy Workers(PolicyMode mode = PolicyMode::kEnforce) {
  return Policy({{.name = "workers",
                  .provisioners = {{{{"common_name", "ci"}}}},
                  .node_names = {"worker-*"},
                  .mode = mode}});
}

PolicySelfTest Asked(std::string node_name, Expect expect) {
  return {
      .name = "t",
      .where = "p.yaml:7: policy_tests[0]",
      .identity = {.name = "cn:ci", .attributes = {{"common_name", {"ci"}}}},
      .question = {.scope = {.node_name = std::move(node_name)}},
      .expect = expect};
}

TEST(PolicySelfTestTest, ComparesTheVerdictTheRuleAndTheField) {
  PolicySelfTest allow = Asked("worker-1", Expect::kAllow);
  EXPECT_EQ(FailureOf(allow, Workers()), "");
  allow.rule = "workers";
  EXPECT_EQ(FailureOf(allow, Workers()), "");
  allow.rule = "others";
  EXPECT_EQ(FailureOf(allow, Workers()),
            "expected allow by rule 'others', came allow by rule 'workers'");

  PolicySelfTest deny = Asked("control-1", Expect::kDeny);
  EXPECT_EQ(FailureOf(deny, Workers()), "");
  deny.rule = "workers";
  deny.field = "scope.node_name";
  EXPECT_EQ(FailureOf(deny, Workers()), "");
  deny.field = "delivery";
  EXPECT_EQ(FailureOf(deny, Workers()),
            "expected deny by rule 'workers' for delivery, came deny by rule "
            "'workers' for scope.node_name (it allows worker-*)");
  deny = Asked("worker-1", Expect::kDeny);
  EXPECT_EQ(FailureOf(deny, Workers()),
            "expected deny, came allow by rule 'workers'");
}

TEST(PolicySelfTestTest, SaysThatNoRuleIsForAnIdentity) {
  PolicySelfTest test = Asked("worker-1", Expect::kAllow);
  test.identity.attributes.clear();
  EXPECT_EQ(FailureOf(test, Workers()),
            "expected allow, came deny, since no rule is for this identity");
}

TEST(PolicySelfTestTest, WhatNoPolicyMayAllowIsDenied) {
  for (const char* name : {"../x", "worker-1\n", "worker-*", "WORKER-1", ""}) {
    SCOPED_TRACE(name);
    PolicySelfTest test = Asked(name, Expect::kDeny);
    test.field = "scope.node_name";
    EXPECT_EQ(FailureOf(test, Workers()), "");
  }
  PolicySelfTest label = Asked("worker-1", Expect::kDeny);
  label.question.labels = {{"a b", "c"}};
  label.field = "labels";
  EXPECT_EQ(FailureOf(label, Workers()), "");
}

TEST(PolicySelfTestTest, JudgesAnObservingRuleAsIfItWereEnforced) {
  const Policy observing = Workers(PolicyMode::kObserve);
  EXPECT_EQ(FailureOf(Asked("control-1", Expect::kDeny), observing), "");
  EXPECT_EQ(FailureOf(Asked("worker-1", Expect::kAllow), observing), "");
  EXPECT_NE(FailureOf(Asked("control-1", Expect::kAllow), observing), "");
}

TEST(PolicySelfTestTest, TellsEveryFailureOnALineOfItsOwn) {
  PolicySelfTest second = Asked("worker-1", Expect::kDeny);
  second.where = "p.yaml:9: policy_tests[1]";
  EXPECT_THAT(
      RunPolicySelfTests({Asked("worker-1", Expect::kAllow)}, Workers()),
      IsOk());
  EXPECT_THAT(
      RunPolicySelfTests({Asked("control-1", Expect::kAllow),
                          Asked("worker-1", Expect::kAllow), second},
                         Workers()),
      StatusIs(absl::StatusCode::kInvalidArgument,
               AllOf(HasSubstr("p.yaml:7: policy_tests[0]: self-test 't': "
                               "expected allow"),
                     HasSubstr("\np.yaml:9: policy_tests[1]: self-test 't': "
                               "expected deny"))));
}

}  // namespace
}  // namespace latchkey
