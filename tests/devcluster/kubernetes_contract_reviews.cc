// Reviews: questions that are answered and not stored.

#include "tests/devcluster/kubernetes_contract.h"

namespace latchkey_testing {
namespace {

using latchkey::kubernetes::SelfSubjectAccessReview;
using latchkey::kubernetes::SubjectAccessReview;
using latchkey::kubernetes::TokenReview;
using ::testing::ElementsAre;

TokenReview ReviewOf(const std::string& token) {
  TokenReview review;
  review.mutable_spec()->set_token(token);
  return review;
}

// May `user` of `groups` create CSRs, or their `subresource`?
SubjectAccessReview MayCreateCsrs(const std::string& user,
                                  const std::vector<std::string>& groups,
                                  const std::string& subresource = "") {
  SubjectAccessReview review;
  auto& spec = *review.mutable_spec();
  spec.set_user(user);
  for (const std::string& group : groups) spec.add_groups(group);
  auto& attributes = *spec.mutable_resource_attributes();
  attributes.set_verb("create");
  attributes.set_group("certificates.k8s.io");
  attributes.set_version("v1");
  attributes.set_resource("certificatesigningrequests");
  attributes.set_subresource(subresource);
  return review;
}

TEST_P(KubernetesContract, ATokenReviewTellsWhoATokenIs) {
  const Token token = MustHaveToken();

  const auto review = admin().Create(ReviewOf(token.joined()));

  ASSERT_THAT(review, IsOk());
  EXPECT_TRUE(review->status().authenticated());
  EXPECT_EQ(review->status().user().username(), UserOf(token));
  EXPECT_THAT(review->status().user().groups(),
              ElementsAre("system:bootstrappers", kLatchkeyGroup,
                          "system:authenticated"));
  EXPECT_EQ(review->status().error(), "");
}

TEST_P(KubernetesContract, ATokenReviewOfABadTokenSaysNoMore) {
  for (const char* bad : {"garbage", "aaaaaa.0123456789abcdef"}) {
    SCOPED_TRACE(bad);
    const auto review = admin().Create(ReviewOf(bad));
    ASSERT_THAT(review, IsOk());
    EXPECT_FALSE(review->status().authenticated());
    EXPECT_EQ(review->status().user().username(), "");
    EXPECT_EQ(review->status().user().groups_size(), 0);
  }
}

TEST_P(KubernetesContract, ATokenReviewNeedsAToken) {
  EXPECT_THAT(admin().Create(ReviewOf("")),
              Invalid("token is required for TokenReview in authentication"));
}

TEST_P(KubernetesContract, ATokenMayNotReviewTokens) {
  const Token token = MustHaveToken();

  EXPECT_THAT(
      cluster().WithToken(token.joined())->Create(ReviewOf(token.joined())),
      StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_P(KubernetesContract, AnAccessReviewAnswersForAnyUser) {
  struct Case {
    const char* name;
    SubjectAccessReview review;
    bool allowed;
  };
  for (const Case& one : std::vector<Case>{
           {"a bound group", MayCreateCsrs("x", {kLatchkeyGroup}), true},
           {"no group", MayCreateCsrs("x", {}), false},
           {"an unbound group", MayCreateCsrs("x", {"system:bootstrappers"}),
            false},
           {"masters", MayCreateCsrs("x", {"system:masters"}), true},
           {"automatic approval of our group",
            MayCreateCsrs("x", {kLatchkeyGroup}, "nodeclient"), false},
           {"automatic approval of masters",
            MayCreateCsrs("x", {"system:masters"}, "nodeclient"), true}}) {
    SCOPED_TRACE(one.name);
    const auto review = admin().Create(one.review);
    ASSERT_THAT(review, IsOk());
    EXPECT_EQ(review->status().allowed(), one.allowed);
    EXPECT_FALSE(review->status().denied());
  }
}

TEST_P(KubernetesContract, AnAccessReviewAddsNoGroups) {
  SubjectAccessReview review;
  review.mutable_spec()->set_user("x");
  review.mutable_spec()->mutable_non_resource_attributes()->set_path("/api");
  review.mutable_spec()->mutable_non_resource_attributes()->set_verb("get");

  auto answered = admin().Create(review);
  ASSERT_THAT(answered, IsOk());
  EXPECT_FALSE(answered->status().allowed());

  review.mutable_spec()->add_groups("system:authenticated");
  answered = admin().Create(review);
  ASSERT_THAT(answered, IsOk());
  EXPECT_TRUE(answered->status().allowed());
}

TEST_P(KubernetesContract, AnAccessReviewKnowsNodesByTheirName) {
  SubjectAccessReview review;
  auto& spec = *review.mutable_spec();
  spec.set_user("system:node:a");
  spec.add_groups("system:nodes");
  spec.mutable_resource_attributes()->set_verb("get");
  spec.mutable_resource_attributes()->set_version("v1");
  spec.mutable_resource_attributes()->set_resource("nodes");
  for (const bool own : {true, false}) {
    SCOPED_TRACE(own);
    spec.mutable_resource_attributes()->set_name(own ? "a" : "b");
    const auto answered = admin().Create(review);
    ASSERT_THAT(answered, IsOk());
    EXPECT_EQ(answered->status().allowed(), own);
  }
}

TEST_P(KubernetesContract, AnAccessReviewAsksOneThing) {
  SubjectAccessReview neither;
  neither.mutable_spec()->set_user("x");
  EXPECT_THAT(admin().Create(neither), Invalid("spec: FieldValueInvalid"));

  SubjectAccessReview both = MayCreateCsrs("x", {});
  both.mutable_spec()->mutable_non_resource_attributes()->set_path("/api");
  both.mutable_spec()->mutable_non_resource_attributes()->set_verb("get");
  EXPECT_THAT(admin().Create(both), Invalid("spec: FieldValueInvalid"));
}

TEST_P(KubernetesContract, AnAccessReviewNeedsSomebody) {
  EXPECT_THAT(admin().Create(MayCreateCsrs("", {})),
              Invalid("spec.user: FieldValueInvalid"));
  EXPECT_THAT(admin().Create(MayCreateCsrs("", {"system:masters"})), IsOk());
}

TEST_P(KubernetesContract, AUserMayAskForItself) {
  const auto client = cluster().WithToken(MustHaveToken().joined());
  SelfSubjectAccessReview review;
  auto& attributes = *review.mutable_spec()->mutable_resource_attributes();
  attributes.set_verb("create");
  attributes.set_group("certificates.k8s.io");
  attributes.set_resource("certificatesigningrequests");

  auto answered = client->Create(review);
  ASSERT_THAT(answered, IsOk());
  EXPECT_TRUE(answered->status().allowed());

  attributes.set_verb("delete");
  answered = client->Create(review);
  ASSERT_THAT(answered, IsOk());
  EXPECT_FALSE(answered->status().allowed());
}

TEST_P(KubernetesContract, AUserMayNotAskForOthers) {
  const auto client = cluster().WithToken(MustHaveToken().joined());

  EXPECT_THAT(client->Create(MayCreateCsrs("x", {"system:masters"})),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_P(KubernetesContract, AReviewHasNoName) {
  SubjectAccessReview review = MayCreateCsrs("x", {});
  review.mutable_metadata()->set_name("named");

  EXPECT_THAT(admin().Create(review), Invalid("metadata: FieldValueInvalid"));
}

TEST_P(KubernetesContract, AReviewIsNotStored) {
  const auto review = admin().Create(MayCreateCsrs("x", {}));
  ASSERT_THAT(review, IsOk());
  EXPECT_EQ(review->metadata().uid(), "");
  EXPECT_EQ(review->metadata().resource_version(), "");

  SubjectAccessReview result;
  EXPECT_THAT(
      admin().GetObject(latchkey::kSubjectAccessReviews, {"", "x"}, result),
      StatusIs(absl::StatusCode::kNotFound));
  SecretList list;
  EXPECT_THAT(admin().ListObjects(latchkey::kSubjectAccessReviews, {}, list),
              StatusIs(absl::StatusCode::kUnimplemented));
}

}  // namespace
}  // namespace latchkey_testing
