#include <functional>

#include "devcluster/user.h"
#include "tests/devcluster/api_fixture.h"

namespace latchkey_testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class AuthenticationTest : public ApiFixture {
 protected:
  void Store(const Secret& secret) {
    ASSERT_THAT(Create(admin_, secret), IsOk());
  }
};

TEST_F(AuthenticationTest, ALiveTokenIsItsUserInItsGroups) {
  Secret secret = TokenSecret();
  (*secret.mutable_data())["auth-extra-groups"] =
      "system:bootstrappers:z,system:bootstrappers:a,system:bootstrappers:z";
  Store(secret);

  const auto user = api_.AuthenticateToken(kToken);

  ASSERT_THAT(user, IsOk());
  EXPECT_EQ(user->name, "system:bootstrap:abc123");
  EXPECT_EQ(user->uid, "");
  EXPECT_THAT(user->extra, IsEmpty());
  EXPECT_THAT(user->groups,
              ElementsAre("system:bootstrappers", "system:bootstrappers:a",
                          "system:bootstrappers:z", "system:authenticated"));
}

TEST_F(AuthenticationTest, WhatIsNoLiveTokenIsUnauthorizedForNoStatedReason) {
  struct Case {
    const char* name;
    std::function<void(Secret&)> change;
  };
  const auto set = [](const char* key, const char* value) {
    return [=](Secret& secret) { (*secret.mutable_data())[key] = value; };
  };
  const auto without = [](const char* key) {
    return [=](Secret& secret) { secret.mutable_data()->erase(key); };
  };
  const std::string long_group =
      "system:bootstrappers:" + std::string(257, 'a');
  const Case cases[] = {
      {"another secret", set("token-secret", "0123456789abcdee")},
      {"a shorter secret", set("token-secret", "0123456789abcde")},
      {"no secret", without("token-secret")},
      {"the id of another", set("token-id", "abc124")},
      {"no id", without("token-id")},
      {"usage off", set("usage-bootstrap-authentication", "false")},
      {"usage in capitals", set("usage-bootstrap-authentication", "True")},
      {"no usage", without("usage-bootstrap-authentication")},
      {"an expiration that is no time", set("expiration", "tomorrow")},
      {"a foreign group", set("auth-extra-groups", "system:masters")},
      {"a group with a dot",
       set("auth-extra-groups", "system:bootstrappers:a.example")},
      {"a group with a space in front",
       set("auth-extra-groups",
           "system:bootstrappers:a, system:bootstrappers:b")},
      {"a comma at the end",
       set("auth-extra-groups", "system:bootstrappers:a,")},
      {"a group that ends in a dash",
       set("auth-extra-groups", "system:bootstrappers:a-")},
      {"a group without a name",
       set("auth-extra-groups", "system:bootstrappers:")},
      {"a group that is too long",
       set("auth-extra-groups", long_group.c_str())},
      {"another type", [](Secret& secret) { secret.set_type("Opaque"); }},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.name);
    Secret secret = TokenSecret();
    test.change(secret);
    Store(secret);

    EXPECT_THAT(api_.AuthenticateToken(kToken),
                IsApiError(401, "Unauthorized"));

    ASSERT_THAT(
        As(admin_)->Delete<Secret>({"kube-system", secret.metadata().name()}),
        IsOk());
  }
}

TEST_F(AuthenticationTest, ATokenDiesAtItsExpiration) {
  Store(TokenSecret());

  clock_.Advance(absl::Minutes(15) - absl::Seconds(1));
  EXPECT_THAT(api_.AuthenticateToken(kToken), IsOk());
  clock_.Advance(absl::Seconds(1));
  EXPECT_THAT(api_.AuthenticateToken(kToken),
              StatusIs(absl::StatusCode::kUnauthenticated));
}

TEST_F(AuthenticationTest, ATokenWithoutExpirationLivesForEver) {
  Secret secret = TokenSecret();
  (*secret.mutable_data())["expiration"] = "";
  Store(secret);

  clock_.Advance(absl::Hours(24 * 365 * 50));
  EXPECT_THAT(api_.AuthenticateToken(kToken), IsOk());
}

TEST_F(AuthenticationTest, ATokenThatIsBeingDeletedIsDead) {
  Secret secret = TokenSecret();
  secret.mutable_metadata()->add_finalizers("example.com/hold");
  Store(secret);
  ASSERT_THAT(api_.AuthenticateToken(kToken), IsOk());

  ASSERT_THAT(
      As(admin_)->Delete<Secret>({"kube-system", secret.metadata().name()}),
      IsOk());

  ASSERT_THAT(
      As(admin_)->Get<Secret>({"kube-system", secret.metadata().name()}),
      IsOk());
  EXPECT_THAT(api_.AuthenticateToken(kToken),
              StatusIs(absl::StatusCode::kUnauthenticated));
}

TEST_F(AuthenticationTest, WhatDoesNotLookLikeATokenIsUnauthorized) {
  Store(TokenSecret());
  for (const char* bad :
       {"", "abc123", "abc123.0123456789abcde", "ABC123.0123456789abcdef",
        "abc123.0123456789abcdef\n", "a.b.c"}) {
    SCOPED_TRACE(bad);
    EXPECT_THAT(api_.AuthenticateToken(bad),
                StatusIs(absl::StatusCode::kUnauthenticated));
  }
}

TEST_F(AuthenticationTest, ACertificateIsItsCommonNameInItsOrganizations) {
  latchkey::Certificate certificate;
  certificate.common_names = {"first", "system:node:worker-1"};
  certificate.organizations = {"system:nodes"};
  certificate.fingerprint = "00ff";

  const auto user = latchkey::UserOfCertificate(certificate);

  ASSERT_THAT(user, IsOk());
  EXPECT_EQ(user->name, "system:node:worker-1");
  EXPECT_THAT(user->groups,
              ElementsAre("system:nodes", "system:authenticated"));
  EXPECT_THAT(user->extra.at("authentication.kubernetes.io/credential-id"),
              ElementsAre("X509SHA256=00ff"));
}

TEST_F(AuthenticationTest, ACertificateWithoutACommonNameIsNobody) {
  latchkey::Certificate certificate;
  certificate.organizations = {"system:masters"};

  EXPECT_THAT(latchkey::UserOfCertificate(certificate),
              StatusIs(absl::StatusCode::kUnauthenticated));
}

TEST_F(AuthenticationTest, ATokenReviewTellsWhoseTokenItIs) {
  Store(TokenSecret());
  latchkey::kubernetes::TokenReview review;
  review.mutable_spec()->set_token(kToken);

  const auto good = Create(admin_, review);
  review.mutable_spec()->set_token("abc123.ffffffffffffffff");
  const auto bad = Create(admin_, review);
  review.mutable_spec()->clear_token();
  const auto empty = Create(admin_, review);

  ASSERT_THAT(good, IsOk());
  EXPECT_TRUE(good->status().authenticated());
  EXPECT_EQ(good->status().user().username(), "system:bootstrap:abc123");
  EXPECT_EQ(good->status().user().groups_size(), 3);
  EXPECT_THAT(good->status().audiences(),
              ElementsAre("https://kubernetes.default.svc"));
  ASSERT_THAT(bad, IsOk());
  EXPECT_FALSE(bad->status().authenticated());
  EXPECT_EQ(bad->status().user().username(), "");
  EXPECT_EQ(bad->status().error(), "invalid bearer token");
  EXPECT_THAT(empty,
              IsApiError(400, ::testing::HasSubstr("token is required")));
}

TEST_F(AuthenticationTest, ASelfReviewTellsWhoAsks) {
  const auto review =
      Create(TokenUser(), latchkey::kubernetes::SelfSubjectReview());

  ASSERT_THAT(review, IsOk());
  EXPECT_EQ(review->status().user_info().username(), "system:bootstrap:abc123");
  EXPECT_THAT(
      review->status().user_info().groups(),
      ElementsAre("system:bootstrappers", "system:bootstrappers:latchkey",
                  "system:authenticated"));
}

}  // namespace
}  // namespace latchkey_testing
