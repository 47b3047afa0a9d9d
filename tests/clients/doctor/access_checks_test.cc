#include "clients/doctor/access_checks.h"

#include <gmock/gmock.h>

#include "tests/clients/doctor/rbac_objects.h"

namespace latchkey {
namespace {

using ::latchkey_testing::BindingOf;
using ::latchkey_testing::NodeclientRole;
using ::latchkey_testing::RoleOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kGroup[] = "system:bootstrappers:latchkey";
constexpr AccessAnswer kYes = {.allowed = true};
constexpr AccessAnswer kNo = {};

std::vector<Answered> All(std::span<const AccessQuestion> questions,
                          bool allowed) {
  std::vector<Answered> answers;
  for (const AccessQuestion& question : questions) {
    answers.push_back({question, {.allowed = allowed}});
  }
  return answers;
}

TEST(AutoApprovalTest, IsFineIfNoGroupMayHaveIt) {
  const Finding finding =
      JudgeAutoApproval({{"system:bootstrappers", kNo}, {kGroup, kNo}}, kNo,
                        kNo, ClusterBindings());
  EXPECT_EQ(finding.id, "auto-approval");
  EXPECT_EQ(finding.severity, Severity::kOk);
  EXPECT_THAT(finding.message, HasSubstr(kGroup));
}

TEST(AutoApprovalTest, ToRenewOnesOwnIsFineAndExplained) {
  const Finding finding =
      JudgeAutoApproval({{kGroup, kNo}}, kNo, kYes, ClusterBindings());
  EXPECT_EQ(finding.severity, Severity::kOk);
  EXPECT_THAT(finding.evidence, ElementsAre(HasSubstr("harmless")));
}

TEST(AutoApprovalTest, NamesTheBindingsAndTakesThemAway) {
  const ClusterBindings all{
      .roles = {NodeclientRole()},
      .bindings = {
          BindingOf("kubeadm", "nodeclient",
                    {{"Group", "system:bootstrappers"}}),
          BindingOf("all", "nodeclient", {{"User", "me"}, {"Group", kGroup}})}};
  const Finding finding = JudgeAutoApproval(
      {{"system:bootstrappers", kYes}, {kGroup, kYes}}, kYes, kNo, all);
  EXPECT_EQ(finding.severity, Severity::kError);
  EXPECT_THAT(finding.evidence,
              Contains("ClusterRoleBinding kubeadm of ClusterRole nodeclient "
                       "to Group system:bootstrappers"));
  EXPECT_THAT(
      finding.commands,
      ElementsAre(
          "kubectl delete clusterrolebinding --ignore-not-found -- kubeadm",
          HasSubstr("patch clusterrolebinding")));
}

TEST(AutoApprovalTest, WithoutTheBindingsGivesTheServersReason) {
  const Finding finding = JudgeAutoApproval(
      {{kGroup, kYes}}, {.allowed = true, .reason = "RBAC: \x1b by x"}, kNo,
      absl::PermissionDeniedError("may not list"));
  EXPECT_EQ(finding.severity, Severity::kError);
  EXPECT_THAT(finding.evidence, Contains("RBAC: \\x1b by x"));
  EXPECT_THAT(finding.evidence, Contains(HasSubstr("could not look")));
  EXPECT_THAT(finding.commands, SizeIs(1));
}

TEST(AutoApprovalTest, AnAuthorizerOtherThanRbacIsSuspected) {
  const Finding finding =
      JudgeAutoApproval({{kGroup, kNo}}, kYes, kNo, ClusterBindings());
  EXPECT_EQ(finding.severity, Severity::kError);
  EXPECT_THAT(finding.advice, HasSubstr("other authorizers"));
}

TEST(TokenGroupTest, EachMissingVerbIsNamedAndBound) {
  auto answers = All(WhatTokensNeed(), true);
  EXPECT_EQ(JudgeTokenGroup(kGroup, answers, ClusterBindings()).severity,
            Severity::kOk);
  answers[2].answer.allowed = false;
  const ClusterBindings taken{
      .bindings = {BindingOf("latchkey:node-bootstrapper", "other", {})}};
  const Finding finding = JudgeTokenGroup(kGroup, answers, taken);
  EXPECT_EQ(finding.severity, Severity::kError);
  EXPECT_THAT(finding.evidence, ElementsAre("list certificatesigningrequests"));
  EXPECT_THAT(finding.commands,
              ElementsAre("kubectl create clusterrolebinding "
                          "latchkey:node-bootstrapper-2 "
                          "--clusterrole=system:node-bootstrapper "
                          "--group=system:bootstrappers:latchkey"));
}

AccessQuestion ReadsSecrets() { return WhatTokensMayNot()[1]; }

TEST(TokenExcessTest, NothingButJoiningIsFine) {
  const Finding finding = JudgeTokenExcess(
      {{"system:bootstrappers", true}, {kGroup, true}}, {}, ClusterBindings());
  EXPECT_EQ(finding.id, "token-group-excess");
  EXPECT_EQ(finding.severity, Severity::kOk);
  EXPECT_THAT(finding.message, HasSubstr(kGroup));
}

TEST(TokenExcessTest, IsGraverOfOurOwnTokens) {
  const ClusterBindings all{
      .roles = {RoleOf("reader", {{"get"}, {""}, {"secrets"}})},
      .bindings = {BindingOf("oops", "reader",
                             {{"Group", "system:bootstrappers:pool"}})}};
  const std::vector<AccessQuestion> rights = {ReadsSecrets()};
  const Finding theirs = JudgeTokenExcess(
      {{kGroup, true}, {"system:bootstrappers:pool", false, rights}}, rights,
      all);
  EXPECT_EQ(theirs.severity, Severity::kWarning);
  EXPECT_THAT(
      theirs.evidence,
      ElementsAre("Group system:bootstrappers:pool may get secrets in "
                  "kube-system",
                  HasSubstr("ClusterRoleBinding oops of ClusterRole reader")));
  EXPECT_THAT(
      theirs.commands,
      ElementsAre(
          "kubectl delete clusterrolebinding --ignore-not-found -- oops"));
  EXPECT_EQ(JudgeTokenExcess({{kGroup, true, rights}}, rights, all).severity,
            Severity::kError);
}

TEST(TokenExcessTest, ABindingInKubeSystemIsFoundAndTakenAway) {
  kubernetes::ClusterRoleBinding binding =
      BindingOf("oops", "reader", {{"User", "me"}, {"Group", kGroup}});
  binding.mutable_role_ref()->set_kind("Role");
  const ClusterBindings all{
      .token_roles = {RoleOf("reader", {{"get"}, {""}, {"secrets"}})},
      .token_bindings = {binding}};
  const Finding finding = JudgeTokenExcess({{kGroup, true, {ReadsSecrets()}}},
                                           {ReadsSecrets()}, all);
  EXPECT_THAT(finding.evidence,
              Contains("RoleBinding oops in kube-system of Role reader to "
                       "Group system:bootstrappers:latchkey"));
  EXPECT_THAT(
      finding.commands,
      ElementsAre(HasSubstr("kubectl -n kube-system patch rolebinding")));
  // What is granted there is granted nowhere else.
  EXPECT_THAT(GrantsOf(all, UserOfToken({kGroup}),
                       {.verb = "get", .group = "", .resource = "secrets"}),
              IsEmpty());
}

TEST(TokenExcessTest, WhatOnlyAllGroupsTogetherMayIsAnError) {
  const Finding finding =
      JudgeTokenExcess({{kGroup, true}}, {ReadsSecrets()}, ClusterBindings());
  EXPECT_EQ(finding.severity, Severity::kError);
  EXPECT_THAT(finding.evidence, Contains(HasSubstr("who is in all groups")));
  EXPECT_THAT(finding.advice, HasSubstr("other authorizers"));
}

TEST(BrokerRightsTest, WhatItNeedsAndNoMoreIsFine) {
  const Findings findings = JudgeBroker(
      ReviewedUser::Named(kBrokerAccount), All(WhatTheBrokerNeeds(), true),
      All(WhatTheBrokerMayNot(), false), ClusterBindings());
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_EQ(findings[0].id, "broker-rights");
  EXPECT_EQ(findings[0].severity, Severity::kOk);
}

TEST(BrokerRightsTest, EachMissingRightIsNamed) {
  for (size_t i = 0; i < WhatTheBrokerNeeds().size(); ++i) {
    auto needed = All(WhatTheBrokerNeeds(), true);
    needed[i].answer.allowed = false;
    const Findings findings =
        JudgeBroker(ReviewedUser::Named(kBrokerAccount), needed,
                    All(WhatTheBrokerMayNot(), false), ClusterBindings());
    ASSERT_THAT(findings, SizeIs(1));
    EXPECT_EQ(findings[0].id, "broker-rights-missing");
    EXPECT_THAT(findings[0].evidence, ElementsAre(needed[i].question.Text()));
    EXPECT_THAT(findings[0].commands,
                ElementsAre("kubectl apply -f deploy/kubernetes/rbac.yaml"));
  }
}

TEST(BrokerRightsTest, AnotherAccountIsBoundByName) {
  const Findings findings = JudgeBroker(
      ReviewedUser::Named("bro ker"), All(WhatTheBrokerNeeds(), false),
      All(WhatTheBrokerMayNot(), false), ClusterBindings());
  EXPECT_THAT(findings.front().commands,
              Contains("kubectl create clusterrolebinding 'bro ker' "
                       "--clusterrole=latchkey:broker --user='bro ker'"));
}

TEST(BrokerRightsTest, TooMuchIsAWarningThatNamesTheBinding) {
  const ClusterBindings all{
      .roles = {RoleOf("admin", {{"*"}, {"*"}, {"*"}})},
      .bindings = {
          BindingOf("oops", "admin", {{"ServiceAccount", "latchkey"}})}};
  const Findings findings = JudgeBroker(ReviewedUser::Named(kBrokerAccount),
                                        All(WhatTheBrokerNeeds(), true),
                                        All(WhatTheBrokerMayNot(), true), all);
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_EQ(findings[0].id, "broker-rights-excess");
  EXPECT_EQ(findings[0].severity, Severity::kWarning);
  EXPECT_THAT(findings[0].evidence, Contains("list secrets, all of them"));
  EXPECT_THAT(
      findings[0].commands,
      ElementsAre(
          "kubectl delete clusterrolebinding --ignore-not-found -- oops"));
}

TEST(AccessQuestionTest, UsersAreInTheGroupsThatTheServerGivesThem) {
  EXPECT_THAT(ReviewedUser::Named("jane").groups,
              ElementsAre("system:authenticated"));
  EXPECT_THAT(ReviewedUser::Named(kBrokerAccount).groups,
              ElementsAre("system:serviceaccounts",
                          "system:serviceaccounts:kube-system",
                          "system:authenticated"));
  EXPECT_THAT(
      UserOfToken({kGroup}).groups,
      ElementsAre("system:bootstrappers", kGroup, "system:authenticated"));
}

}  // namespace
}  // namespace latchkey
