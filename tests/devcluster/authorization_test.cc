#include "tests/devcluster/api_fixture.h"

namespace latchkey_testing {
namespace {

using latchkey::AnonymousUser;
using latchkey::BrokerUser;
using latchkey::kCertificateSigningRequests;
using latchkey::kConfigMaps;
using latchkey::kEvents;
using latchkey::kLeases;
using latchkey::kNodes;
using latchkey::kSecrets;
using latchkey::kSelfSubjectAccessReviews;
using latchkey::kSubjectAccessReviews;
using latchkey::kTokenReviews;
using latchkey::ObjectName;
using latchkey::Resource;
using ::testing::HasSubstr;

class AuthorizationTest : public ApiFixture {
 protected:
  static User Stranger() {
    return {.name = "somebody", .groups = {"system:authenticated"}};
  }
};

struct Case {
  const char* who;
  latchkey::User user;
  const char* verb;
  Resource resource;
  const char* subresource;
  ObjectName name;
};

TEST_F(AuthorizationTest, WhatJoiningNeedsIsAllowed) {
  const Resource& csrs = kCertificateSigningRequests;
  const std::string kubeadm = "system:bootstrappers:kubeadm:default-node-token";
  const Case allowed[] = {
      {"admin", admin_, "delete", kSecrets, "", {"default", "x"}},
      {"token", TokenUser(), "create", csrs, "", {}},
      {"token", TokenUser(), "get", csrs, "", {"", "x"}},
      {"token", TokenUser(), "list", csrs, "", {}},
      {"token", TokenUser(), "watch", csrs, "", {}},
      {"kubeadm token", TokenUser(kubeadm), "create", csrs, "", {}},
      {"token", TokenUser(), "create", kSelfSubjectAccessReviews, "", {}},
      {"broker", BrokerUser(), "watch", csrs, "", {}},
      {"broker", BrokerUser(), "update", csrs, "approval", {"", "x"}},
      {"broker", BrokerUser(), "get", kNodes, "", {"", "x"}},
      {"broker", BrokerUser(), "create", kTokenReviews, "", {}},
      {"broker", BrokerUser(), "create", kSecrets, "", {"kube-system", ""}},
      {"broker", BrokerUser(), "delete", kSecrets, "", {"kube-system", "x"}},
      {"node", NodeUser("n"), "create", csrs, "", {}},
      {"node", NodeUser("n"), "get", kNodes, "", {"", "n"}},
      {"node", NodeUser("n"), "update", kNodes, "status", {"", "n"}},
      {"node", NodeUser("n"), "update", kLeases, "", {"kube-node-lease", "n"}},
      {"node", NodeUser("n"), "create", kEvents, "", {"default", ""}},
      {"anonymous",
       AnonymousUser(),
       "get",
       kConfigMaps,
       "",
       {"kube-public", "cluster-info"}},
  };
  for (const Case& test : allowed) {
    EXPECT_TRUE(api_.MayAccess(test.user, test.verb, test.resource,
                               test.subresource, test.name))
        << test.who << " " << test.verb << " " << test.resource.plural;
  }
}

TEST_F(AuthorizationTest, TheRestIsDenied) {
  const Resource& csrs = kCertificateSigningRequests;
  // The name and the group make a node, not one of them.
  const User name_only = {.name = "system:node:n",
                          .groups = {"system:authenticated"}};
  const User group_only = {.name = "n", .groups = {"system:nodes"}};
  const Case denied[] = {
      {"stranger", Stranger(), "create", csrs, "", {}},
      {"stranger", Stranger(), "get", kSecrets, "", {"default", "x"}},
      {"token", TokenUser("x"), "create", csrs, "", {}},
      {"token", TokenUser(), "update", csrs, "approval", {"", "x"}},
      {"token", TokenUser(), "delete", csrs, "", {"", "x"}},
      {"token",
       TokenUser(),
       "get",
       kSecrets,
       "",
       {"kube-system", "bootstrap-token-abc123"}},
      {"token", TokenUser(), "create", kNodes, "", {}},
      {"token", TokenUser(), "create", kTokenReviews, "", {}},
      {"token", TokenUser(), "create", kSubjectAccessReviews, "", {}},
      {"broker", BrokerUser(), "update", csrs, "status", {"", "x"}},
      {"broker", BrokerUser(), "update", csrs, "", {"", "x"}},
      {"broker", BrokerUser(), "list", kNodes, "", {}},
      {"broker", BrokerUser(), "get", kSecrets, "", {"default", "x"}},
      {"broker", BrokerUser(), "list", kSecrets, "", {}},
      {"node", NodeUser("n"), "get", kNodes, "", {"", "m"}},
      {"node", NodeUser("n"), "list", kNodes, "", {}},
      {"node", NodeUser("n"), "update", kLeases, "", {"kube-node-lease", "m"}},
      {"node", NodeUser("n"), "update", kLeases, "", {"default", "n"}},
      {"node", NodeUser("n"), "list", kSecrets, "", {"kube-system", ""}},
      {"name only", name_only, "get", kNodes, "", {"", "n"}},
      {"group only", group_only, "create", csrs, "", {}},
      {"anonymous",
       AnonymousUser(),
       "get",
       kConfigMaps,
       "",
       {"kube-public", "other"}},
      {"anonymous",
       AnonymousUser(),
       "list",
       kConfigMaps,
       "",
       {"kube-public", ""}},
      {"anonymous",
       AnonymousUser(),
       "create",
       kSelfSubjectAccessReviews,
       "",
       {}},
  };
  for (const Case& test : denied) {
    EXPECT_FALSE(api_.MayAccess(test.user, test.verb, test.resource,
                                test.subresource, test.name))
        << test.who << " " << test.verb << " " << test.resource.plural;
  }
}

TEST_F(AuthorizationTest, PathsAreForThoseWhoAreKnownAndHealthForAll) {
  for (const char* path : {"/healthz", "/readyz", "/livez", "/version"}) {
    EXPECT_TRUE(api_.MayAccessPath(AnonymousUser(), "get", path)) << path;
    EXPECT_TRUE(api_.MayAccessPath(Stranger(), "get", path)) << path;
  }
  for (const char* path : {"/api", "/api/v1", "/apis/certificates.k8s.io/v1"}) {
    EXPECT_FALSE(api_.MayAccessPath(AnonymousUser(), "get", path)) << path;
    EXPECT_TRUE(api_.MayAccessPath(Stranger(), "get", path)) << path;
  }
  EXPECT_FALSE(api_.MayAccessPath(Stranger(), "post", "/api"));
  EXPECT_FALSE(api_.MayAccessPath(Stranger(), "get", "/metrics"));
}

TEST_F(AuthorizationTest, ADenialSaysWhoMayNotDoWhat) {
  EXPECT_THAT(api_.Get(TokenUser(), kSecrets, {"kube-system", "x"}),
              IsApiError(403,
                         "secrets \"x\" is forbidden: User "
                         "\"system:bootstrap:abc123\" cannot get resource "
                         "\"secrets\" in API group \"\" in the namespace "
                         "\"kube-system\""));
  EXPECT_THAT(
      api_.List(TokenUser(), kNodes, {}),
      IsApiError(403,
                 "nodes is forbidden: User \"system:bootstrap:abc123\" "
                 "cannot list resource \"nodes\" in API group \"\" at the "
                 "cluster scope"));
}

TEST_F(AuthorizationTest, ADenialDoesNotTellWhetherTheObjectExists) {
  ASSERT_THAT(Create(admin_, NewSecret("there")), IsOk());

  EXPECT_THAT(As(Stranger())->Get<Secret>({"kube-system", "there"}),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(As(Stranger())->Get<Secret>({"kube-system", "not-there"}),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(As(Stranger())->Create(NewSecret("there")),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(AuthorizationTest, AWatchOfOneNameIsAWatchOfThatObject) {
  const auto node = As(NodeUser("n"));

  EXPECT_THAT(node->WatchObjects(kNodes, {.field_selector = "metadata.name=n",
                                          .resource_version = "1"}),
              IsOk());
  EXPECT_THAT(node->WatchObjects(kNodes, {.field_selector = "metadata.name=m",
                                          .resource_version = "1"}),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(AuthorizationTest, ANodeMakesNoNodeAndNoLeaseButItsOwn) {
  latchkey::kubernetes::Node node;
  node.mutable_metadata()->set_name("m");
  latchkey::kubernetes::Lease lease;
  lease.mutable_metadata()->set_namespace_("kube-node-lease");
  lease.mutable_metadata()->set_name("m");

  EXPECT_THAT(Create(NodeUser("n"), node),
              IsApiError(403, HasSubstr("not allowed to modify node \"m\"")));
  EXPECT_THAT(Create(NodeUser("n"), lease),
              IsApiError(403, HasSubstr("node lease")));
  EXPECT_THAT(Create(NodeUser("m"), node), IsOk());
  EXPECT_THAT(Create(NodeUser("m"), lease), IsOk());
}

// The question of the stock approver about a CSR.
latchkey::kubernetes::SubjectAccessReview NodeClientReview(
    const std::string& group) {
  latchkey::kubernetes::SubjectAccessReview review;
  auto& spec = *review.mutable_spec();
  spec.set_user("system:bootstrap:abc123");
  spec.add_groups(group);
  auto& attributes = *spec.mutable_resource_attributes();
  attributes.set_group("certificates.k8s.io");
  attributes.set_resource("certificatesigningrequests");
  attributes.set_verb("create");
  attributes.set_subresource("nodeclient");
  return review;
}

TEST_F(AuthorizationTest, TheStockApproverKnowsOnlyKubeadmsGroupAndIfItIsOn) {
  latchkey::ApiServer stock(*store_, clock_, {.stock_approver = true});
  const auto allowed = [&](latchkey::ApiServer& api, const char* group) {
    const auto client = latchkey::MakeLocalKubernetesClient(api, admin_);
    const auto review = client->Create(NodeClientReview(group));
    EXPECT_THAT(review, IsOk());
    return review.ok() && review->status().allowed();
  };
  const char* kubeadm = "system:bootstrappers:kubeadm:default-node-token";

  EXPECT_TRUE(allowed(stock, kubeadm));
  EXPECT_FALSE(allowed(stock, "system:bootstrappers:latchkey"));
  EXPECT_FALSE(allowed(api_, kubeadm));
}

TEST_F(AuthorizationTest, AReviewTakesTheGroupsAsTheyAreGiven) {
  latchkey::kubernetes::SubjectAccessReview review;
  review.mutable_spec()->set_user("somebody");
  auto& path = *review.mutable_spec()->mutable_non_resource_attributes();
  path.set_path("/api");
  path.set_verb("get");

  const auto alone = Create(admin_, review);
  review.mutable_spec()->add_groups("system:authenticated");
  const auto grouped = Create(admin_, review);

  ASSERT_THAT(alone, IsOk());
  EXPECT_FALSE(alone->status().allowed());
  ASSERT_THAT(grouped, IsOk());
  EXPECT_TRUE(grouped->status().allowed());
}

TEST_F(AuthorizationTest, AReviewThatAsksNothingIsInvalid) {
  latchkey::kubernetes::SubjectAccessReview review;
  EXPECT_THAT(Create(admin_, review),
              IsApiError(422, HasSubstr("at least one of user or group")));
  review.mutable_spec()->set_user("somebody");
  EXPECT_THAT(
      Create(admin_, review),
      IsApiError(422,
                 ".authorization.k8s.io \"\" is invalid: spec: Invalid value: "
                 "null: exactly one of nonResourceAttributes or "
                 "resourceAttributes must be specified"));
}

TEST_F(AuthorizationTest, ASelfReviewIsAboutTheOneWhoAsks) {
  latchkey::kubernetes::SelfSubjectAccessReview review;
  auto& attributes = *review.mutable_spec()->mutable_resource_attributes();
  attributes.set_group("certificates.k8s.io");
  attributes.set_resource("certificatesigningrequests");
  attributes.set_verb("create");

  const auto token = Create(TokenUser(), review);
  const auto stranger = Create(Stranger(), review);

  ASSERT_THAT(token, IsOk());
  EXPECT_TRUE(token->status().allowed());
  EXPECT_EQ(token->status().reason(),
            "RBAC: allowed by ClusterRoleBinding "
            "\"latchkey:node-bootstrapper\" of ClusterRole "
            "\"system:node-bootstrapper\" to Group "
            "\"system:bootstrappers:latchkey\"");
  ASSERT_THAT(stranger, IsOk());
  EXPECT_FALSE(stranger->status().allowed());
}

}  // namespace
}  // namespace latchkey_testing
