// Bootstrap tokens: who logs in as whom, who does not, and what controllers
// make of their Secrets.

#include <absl/strings/escaping.h>
#include <absl/time/clock.h>
#include <fmt/format.h>

#include "core/text_time.h"
#include "crypto/digest.h"
#include "tests/devcluster/kubernetes_contract.h"

namespace latchkey_testing {
namespace {

using latchkey::kubernetes::SelfSubjectReview;
using ::testing::ElementsAre;

std::string InTime(absl::Duration from_now) {
  return latchkey::FormatRfc3339(absl::Now() + from_now);
}

TEST_P(KubernetesContract, ATokenLogsInAsItsId) {
  const Token token = MustHaveToken();

  const auto review =
      cluster().WithToken(token.joined())->Create(SelfSubjectReview());

  ASSERT_THAT(review, IsOk());
  const auto& user = review->status().user_info();
  EXPECT_EQ(user.username(), "system:bootstrap:" + token.id);
  EXPECT_THAT(user.groups(), ElementsAre("system:bootstrappers", kLatchkeyGroup,
                                         "system:authenticated"));
  EXPECT_EQ(user.uid(), "");
  EXPECT_EQ(user.extra_size(), 0);
}

TEST_P(KubernetesContract, ExtraGroupsAreSortedAndSetOnce) {
  const Token token = NewToken();
  MustCreate(SecretOf(token,
                      "system:bootstrappers:b,system:bootstrappers:a,system:"
                      "bootstrappers:b"));
  ASSERT_TRUE(AwaitLogin(token));

  const auto review =
      cluster().WithToken(token.joined())->Create(SelfSubjectReview());

  ASSERT_THAT(review, IsOk());
  EXPECT_THAT(review->status().user_info().groups(),
              ElementsAre("system:bootstrappers", "system:bootstrappers:a",
                          "system:bootstrappers:b", "system:authenticated"));
}

TEST_P(KubernetesContract, ATokenMayDoWithoutExtraGroups) {
  const Token token = NewToken();
  MustCreate(SecretOf(token, ""));
  ASSERT_TRUE(AwaitLogin(token));

  const auto review =
      cluster().WithToken(token.joined())->Create(SelfSubjectReview());

  ASSERT_THAT(review, IsOk());
  EXPECT_THAT(review->status().user_info().groups(),
              ElementsAre("system:bootstrappers", "system:authenticated"));
}

// What makes a token that would be good useless.
struct Flaw {
  const char* name;
  std::function<void(Secret&)> spoil;
};

std::function<void(Secret&)> Set(const std::string& key,
                                 const std::string& value) {
  return [=](Secret& secret) { (*secret.mutable_data())[key] = value; };
}
std::function<void(Secret&)> Drop(const std::string& key) {
  return [=](Secret& secret) { secret.mutable_data()->erase(key); };
}

std::vector<Flaw> Flaws() {
  return {
      {"usage off", Set("usage-bootstrap-authentication", "false")},
      {"usage in capitals", Set("usage-bootstrap-authentication", "True")},
      {"usage as a number", Set("usage-bootstrap-authentication", "1")},
      {"usage missing", Drop("usage-bootstrap-authentication")},
      {"expired", Set("expiration", InTime(-absl::Seconds(1)))},
      {"expiration that is no time", Set("expiration", "tomorrow")},
      {"another id", Set("token-id", "aaaaaa")},
      {"no id", Drop("token-id")},
      {"no secret", Drop("token-secret")},
      {"another secret", Set("token-secret", "fedcba9876543210")},
      {"a longer secret", Set("token-secret", "0123456789abcdef0")},
      {"no data", [](Secret& secret) { secret.clear_data(); }},
      {"another type", [](Secret& secret) { secret.set_type("Opaque"); }},
      {"another namespace",
       [](Secret& secret) {
         secret.mutable_metadata()->set_namespace_("kube-public");
       }},
      {"a foreign group", Set("auth-extra-groups", "system:masters")},
      {"a group with a dot",
       Set("auth-extra-groups", "system:bootstrappers:a.b")},
      {"a group in capitals",
       Set("auth-extra-groups", "system:bootstrappers:A")},
      {"a group of no name", Set("auth-extra-groups", "system:bootstrappers:")},
      {"a comma at the end of the groups",
       Set("auth-extra-groups", "system:bootstrappers:a,")},
      {"a space between the groups",
       Set("auth-extra-groups",
           "system:bootstrappers:a, system:bootstrappers:b")},
  };
}

TEST_P(KubernetesContract, AFlawedTokenDoesNotLogIn) {
  std::vector<std::pair<const char*, Token>> tokens;
  for (const Flaw& flaw : Flaws()) {
    tokens.emplace_back(flaw.name, NewToken());
    Secret secret = SecretOf(tokens.back().second);
    flaw.spoil(secret);
    MustCreate(secret);
  }
  AwaitTokensSeen();

  for (const auto& [name, token] : tokens) {
    SCOPED_TRACE(name);
    EXPECT_THAT(
        cluster().WithToken(token.joined())->Create(SelfSubjectReview()),
        StatusIs(absl::StatusCode::kUnauthenticated));
  }
}

TEST_P(KubernetesContract, ATokenNeedsTheNameOfItsId) {
  const Token token = NewToken();
  Secret secret = SecretOf(token);
  secret.mutable_metadata()->set_name(NewName());
  MustCreate(secret);
  AwaitTokensSeen();

  EXPECT_THAT(cluster().WithToken(token.joined())->Create(SelfSubjectReview()),
              StatusIs(absl::StatusCode::kUnauthenticated));
}

TEST_P(KubernetesContract, AWrongSecretDoesNotLogIn) {
  const Token token = MustHaveToken();

  for (const std::string& wrong :
       {token.id + ".fedcba9876543210", token.id + ".0123456789abcdeF",
        token.id + ".0123456789abcde", token.id + "0123456789abcdef", token.id,
        std::string("garbage")}) {
    SCOPED_TRACE(wrong);
    EXPECT_THAT(cluster().WithToken(wrong)->Create(SelfSubjectReview()),
                Fails(absl::StatusCode::kUnauthenticated, "Unauthorized"));
  }
}

TEST_P(KubernetesContract, ExpirationsOfManyForms) {
  for (const std::string& expiration :
       {std::string(), InTime(absl::Hours(1)),
        std::string("2999-01-02T03:04:05.5+01:00")}) {
    SCOPED_TRACE(expiration);
    const Token token = NewToken();
    Secret secret = SecretOf(token);
    (*secret.mutable_data())["expiration"] = expiration;
    MustCreate(secret);
    EXPECT_TRUE(AwaitLogin(token));
  }
}

TEST_P(KubernetesContract, ADeletedTokenStopsLoggingIn) {
  const Token token = MustHaveToken();
  const auto client = cluster().WithToken(token.joined());
  ASSERT_THAT(
      admin().Delete<Secret>({"kube-system", "bootstrap-token-" + token.id}),
      IsOk());

  EXPECT_TRUE(Eventually([&] {
    return absl::IsUnauthenticated(
        client->Create(SelfSubjectReview()).status());
  }));
}

TEST_P(KubernetesContract, ATokenThatIsBeingDeletedDoesNotLogIn) {
  const Token token = NewToken();
  Secret secret = SecretOf(token);
  secret.mutable_metadata()->add_finalizers("contract.latchkey.test/hold");
  const latchkey::ObjectName name = {"kube-system",
                                     MustCreate(secret).metadata().name()};
  ASSERT_THAT(admin().Delete<Secret>(name), IsOk());
  AwaitTokensSeen();

  EXPECT_THAT(cluster().WithToken(token.joined())->Create(SelfSubjectReview()),
              StatusIs(absl::StatusCode::kUnauthenticated));

  auto held = admin().Get<Secret>(name);
  ASSERT_THAT(held, IsOk());
  held->mutable_metadata()->clear_finalizers();
  EXPECT_THAT(admin().Update(*held), IsOk());
}

TEST_P(KubernetesContract, TheTokenCleanerRemovesWhatHasExpired) {
  const Token token = NewToken();
  Secret secret = SecretOf(token);
  (*secret.mutable_data())["expiration"] = InTime(absl::Seconds(2));
  MustCreate(secret);
  EXPECT_TRUE(AwaitLogin(token));

  EXPECT_TRUE(Eventually([&] {
    return absl::IsNotFound(
        admin()
            .Get<Secret>({"kube-system", secret.metadata().name()})
            .status());
  }));
}

TEST_P(KubernetesContract, TheTokenCleanerJudgesNothingButTheExpiration) {
  Secret garbage = NewSecret(NewName(), "kube-system");
  garbage.set_type("bootstrap.kubernetes.io/token");
  (*garbage.mutable_data())["expiration"] = "tomorrow";
  Secret other_type = garbage;
  other_type.mutable_metadata()->set_name(NewName());
  other_type.set_type("Opaque");
  Secret other_namespace = garbage;
  other_namespace.mutable_metadata()->set_namespace_("kube-public");
  Secret no_expiration = garbage;
  no_expiration.mutable_metadata()->set_name(NewName());
  no_expiration.mutable_data()->erase("expiration");
  for (const Secret& kept : {other_type, other_namespace, no_expiration}) {
    MustCreate(kept);
  }
  MustCreate(garbage);

  EXPECT_TRUE(Eventually([&] {
    return absl::IsNotFound(
        admin()
            .Get<Secret>({"kube-system", garbage.metadata().name()})
            .status());
  }));
  for (const Secret& kept : {other_type, other_namespace, no_expiration}) {
    MustGet(kept);
  }
}

// What the bootstrap signer says of the token, or nothing.
std::string SignatureOf(KubernetesClient& client, const std::string& id,
                        std::string& kubeconfig) {
  const auto map = client.Get<ConfigMap>({"kube-public", "cluster-info"});
  EXPECT_THAT(map, IsOk());
  if (!map.ok()) return "";
  const auto config = map->data().find("kubeconfig");
  if (config != map->data().end()) kubeconfig = config->second;
  const auto found = map->data().find("jws-kubeconfig-" + id);
  return found == map->data().end() ? "" : found->second;
}

TEST_P(KubernetesContract, ClusterInfoIsSignedWithEachSigningToken) {
  const Token token = NewToken();
  Secret secret = SecretOf(token);
  (*secret.mutable_data())["usage-bootstrap-signing"] = "true";
  secret = MustCreate(secret);
  const auto anyone = cluster().Anonymous();
  std::string signature;
  std::string kubeconfig;
  ASSERT_TRUE(Eventually([&] {
    signature = SignatureOf(*anyone, token.id, kubeconfig);
    return !signature.empty();
  }));

  const std::string head = absl::WebSafeBase64Escape(
      fmt::format(R"({{"alg":"HS256","kid":"{}"}})", token.id));
  const std::string body = absl::WebSafeBase64Escape(kubeconfig);
  EXPECT_EQ(signature, head + ".." +
                           absl::WebSafeBase64Escape(latchkey::HmacSha256(
                               token.secret, head + "." + body)));

  ASSERT_THAT(admin().Delete<Secret>({"kube-system", secret.metadata().name()}),
              IsOk());
  EXPECT_TRUE(Eventually(
      [&] { return SignatureOf(*anyone, token.id, kubeconfig).empty(); }));
}

TEST_P(KubernetesContract, ClusterInfoNamesTheClusterAndNobody) {
  std::string kubeconfig;
  SignatureOf(*cluster().Anonymous(), "none", kubeconfig);

  EXPECT_THAT(kubeconfig, ::testing::HasSubstr("certificate-authority-data: "));
  EXPECT_THAT(kubeconfig, ::testing::HasSubstr("server: https://"));
  EXPECT_THAT(kubeconfig, ::testing::HasSubstr("users: null"));
}

TEST_P(KubernetesContract, AnUnfitTokenSignsNothing) {
  std::vector<std::pair<const char*, Token>> tokens;
  for (const Flaw& flaw : std::vector<Flaw>{
           {"signing off", Set("usage-bootstrap-signing", "false")},
           {"expired", Set("expiration", InTime(-absl::Seconds(1)))},
           {"another id", Set("token-id", "aaaaaa")},
           {"no secret", Drop("token-secret")}}) {
    tokens.emplace_back(flaw.name, NewToken());
    Secret secret = SecretOf(tokens.back().second);
    (*secret.mutable_data())["usage-bootstrap-signing"] = "true";
    flaw.spoil(secret);
    MustCreate(secret);
  }
  // A good one after them: once that has signed, the others have had their
  // turn.
  const Token good = NewToken();
  Secret secret = SecretOf(good);
  (*secret.mutable_data())["usage-bootstrap-signing"] = "true";
  (*secret.mutable_data())["usage-bootstrap-authentication"] = "false";
  MustCreate(secret);
  std::string kubeconfig;
  ASSERT_TRUE(Eventually(
      [&] { return !SignatureOf(admin(), good.id, kubeconfig).empty(); }));

  for (const auto& [name, token] : tokens) {
    SCOPED_TRACE(name);
    EXPECT_EQ(SignatureOf(admin(), token.id, kubeconfig), "");
  }
}

}  // namespace
}  // namespace latchkey_testing
