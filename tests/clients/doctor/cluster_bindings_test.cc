#include "clients/doctor/cluster_bindings.h"

#include <gmock/gmock.h>

#include "clients/doctor/access_checks.h"
#include "tests/clients/doctor/rbac_objects.h"

namespace latchkey {
namespace {

using ::latchkey_testing::BindingOf;
using ::latchkey_testing::NodeclientRole;
using ::latchkey_testing::RoleOf;
using ::latchkey_testing::RuleWords;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

ReviewedUser Us() { return UserOfToken({"system:bootstrappers:latchkey"}); }

bool Allows(const RuleWords& words, const AccessQuestion& question) {
  const ClusterBindings all{
      .roles = {RoleOf("r", words)},
      .bindings = {BindingOf("b", "r", {{"Group", "system:bootstrappers"}})}};
  return !GrantsOf(all, Us(), question).empty();
}

TEST(ClusterBindingsTest, RulesMeanWhatTheyMeanToRbac) {
  constexpr char kCsrs[] = "certificatesigningrequests";
  const struct {
    const char* name;
    RuleWords words;
    bool allowed;
  } kCases[] = {
      {"exact",
       {{"create"},
        {"certificates.k8s.io"},
        {"certificatesigningrequests/nodeclient"}},
       true},
      {"all resources", {{"*"}, {"*"}, {"*"}}, true},
      {"the subresource of all", {{"*"}, {"*"}, {"*/nodeclient"}}, true},
      {"another verb",
       {{"get"},
        {"certificates.k8s.io"},
        {"certificatesigningrequests/nodeclient"}},
       false},
      {"another group",
       {{"create"}, {"apps"}, {"certificatesigningrequests/nodeclient"}},
       false},
      {"the resource alone",
       {{"create"}, {"certificates.k8s.io"}, {kCsrs}},
       false},
      {"its subresources, which RBAC does not know",
       {{"create"}, {"certificates.k8s.io"}, {"certificatesigningrequests/*"}},
       false},
      {"selfnodeclient",
       {{"create"},
        {"certificates.k8s.io"},
        {"certificatesigningrequests/selfnodeclient"}},
       false},
      {"for one name only", {{"*"}, {"*"}, {"*"}, {"x"}}, false},
  };
  for (const auto& one : kCases) {
    SCOPED_TRACE(one.name);
    EXPECT_EQ(Allows(one.words, kApprovesAnyNode), one.allowed);
  }
}

TEST(ClusterBindingsTest, OnlyBindingsThatReachUsCount) {
  const ClusterBindings all{
      .roles = {NodeclientRole()},
      .bindings = {
          BindingOf("other-group", "nodeclient", {{"Group", "ops"}}),
          BindingOf("user-of-that-name", "nodeclient",
                    {{"User", "system:bootstrappers"}}),
          BindingOf("other-role", "gone", {{"Group", "system:bootstrappers"}}),
          BindingOf("ours", "nodeclient",
                    {{"Group", "ops"}, {"Group", "system:bootstrappers"}}),
          BindingOf("everybody", "nodeclient",
                    {{"Group", "system:authenticated"}})}};
  const auto grants = GrantsOf(all, Us(), kApprovesAnyNode);
  ASSERT_THAT(grants, SizeIs(2));
  EXPECT_EQ(grants[0].binding->metadata().name(), "ours");
  EXPECT_THAT(grants[0].subjects, ElementsAre(1));
  EXPECT_EQ(grants[1].binding->metadata().name(), "everybody");
}

TEST(ClusterBindingsTest, AServiceAccountIsReachedByItsName) {
  const ClusterBindings all{
      .roles = {RoleOf("r", {{"*"}, {"*"}, {"*"}})},
      .bindings = {
          BindingOf("a", "r", {{"ServiceAccount", "latchkey"}}),
          BindingOf("b", "r", {{"ServiceAccount", "other"}}),
          BindingOf("c", "r",
                    {{"Group", "system:serviceaccounts:kube-system"}})}};
  EXPECT_THAT(GrantsOf(all, ReviewedUser::Named(kBrokerAccount),
                       WhatTheBrokerMayNot().front()),
              SizeIs(2));
}

TEST(ClusterBindingsTest, ABindingOfOursAloneIsDeleted) {
  const auto binding = BindingOf("it", "r", {{"Group", "g"}});
  EXPECT_EQ(CommandToRevoke({&binding, {0}}),
            "kubectl delete clusterrolebinding --ignore-not-found -- it");
}

TEST(ClusterBindingsTest, FromABindingOfOthersTooOurSubjectsAreTaken) {
  const auto binding =
      BindingOf("it", "r", {{"Group", "a"}, {"Group", "ops"}, {"Group", "b"}});
  EXPECT_EQ(CommandToRevoke({&binding, {0, 2}}),
            R"(kubectl patch clusterrolebinding --type=json -p '[)"
            R"({"op":"test","path":"/subjects/2/name","value":"b"},)"
            R"({"op":"remove","path":"/subjects/2"},)"
            R"({"op":"test","path":"/subjects/0/name","value":"a"},)"
            R"({"op":"remove","path":"/subjects/0"}]' -- it)");
}

TEST(ClusterBindingsTest, HostileNamesStayNames) {
  const auto binding =
      BindingOf("-x\n$(id)'\x1b[2J", "r\x07", {{"Group", "g\ng"}});
  EXPECT_EQ(CommandToRevoke({&binding, {0}}),
            R"(kubectl delete clusterrolebinding --ignore-not-found -- )"
            R"($'-x\x0a$(id)\'\x1b[2J')");
  EXPECT_EQ(Describe({&binding, {0}}),
            R"(ClusterRoleBinding -x\x0a$(id)'\x1b[2J of ClusterRole r\x07 )"
            R"(to Group g\x0ag)");
}

TEST(ClusterBindingsTest, ANewBindingGetsANameThatIsFree) {
  ClusterBindings all;
  EXPECT_EQ(FreeBindingName(all, "n"), "n");
  all.bindings = {BindingOf("n", "r", {}), BindingOf("n-2", "r", {})};
  EXPECT_EQ(FreeBindingName(all, "n"), "n-3");
}

}  // namespace
}  // namespace latchkey
