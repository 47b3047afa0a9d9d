#include "tests/fakes/fake_kubernetes_client.h"

#include <gmock/gmock.h>

#include "tests/clients/kubernetes/kubernetes_client_contract.h"
#include "tests/testing/sample_csr.h"
#include "tests/testing/status_matchers.h"

namespace latchkey_testing {
namespace {

using latchkey::kubernetes::Secret;

struct FakeServer {
  using Base = ::testing::Test;
  static FakeKubernetesClient& Fake() {
    static FakeKubernetesClient client;
    return client;
  }
  static latchkey::KubernetesClient& Client() { return Fake(); }
  static void ForgetHistory() { Fake().ForgetHistory(); }
  static void ProvokeBookmarks() { Fake().SendBookmarks(); }
  static void EndWatches() { Fake().EndWatches(); }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Fake, KubernetesClientContract, FakeServer);

Secret Named(const std::string& name) {
  Secret secret;
  secret.mutable_metadata()->set_namespace_("kube-system");
  secret.mutable_metadata()->set_name(name);
  return secret;
}

TEST(FakeKubernetesClientTest, FailsTheNthRequestOfAVerb) {
  FakeKubernetesClient client;
  client.FailNext(Verb::kCreate, 2, absl::UnavailableError("lost"));

  EXPECT_THAT(client.Create(Named("a")), IsOk());
  EXPECT_THAT(client.Create(Named("b")),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(client.Get<Secret>({"kube-system", "b"}),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(client.Create(Named("b")), IsOk());
  EXPECT_EQ(client.Calls(Verb::kCreate), 3);
}

TEST(FakeKubernetesClientTest, LosesTheAnswerToWhatWasDone) {
  FakeKubernetesClient client;
  client.FailNext(Verb::kCreate, 1, absl::UnavailableError("lost"),
                  FakeKubernetesClient::Effect::kDone);

  EXPECT_THAT(client.Create(Named("a")),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(client.Get<Secret>({"kube-system", "a"}), IsOk());
}

TEST(FakeKubernetesClientTest, LetsAnotherPartyStepIn) {
  FakeKubernetesClient client;
  auto mine = client.Create(Named("a"));
  ASSERT_THAT(mine, IsOk());
  client.BeforeNext(Verb::kUpdate, 1, [&] {
    auto theirs = *mine;
    (*theirs.mutable_data())["who"] = "they";
    EXPECT_THAT(client.Update(theirs), IsOk());
  });
  (*mine->mutable_data())["who"] = "me";

  EXPECT_THAT(client.Update(*mine), StatusIs(absl::StatusCode::kAborted));
}

TEST(FakeKubernetesClientTest, ForgettingEndsOpenWatches) {
  FakeKubernetesClient client;
  auto watch =
      client.WatchObjects(latchkey::kSecrets, {.resource_version = "1"});
  ASSERT_THAT(watch, IsOk());
  EXPECT_EQ(client.OpenWatches(), 1);

  client.ForgetHistory();

  EXPECT_THAT((*watch)->Next(absl::Seconds(1)),
              StatusIs(absl::StatusCode::kOutOfRange));
  watch->reset();
  EXPECT_EQ(client.OpenWatches(), 0);
}

TEST(FakeKubernetesClientTest, AnswersReviewsAsTold) {
  FakeKubernetesClient client;
  client.AnswerReview([](google::protobuf::Message& review) {
    dynamic_cast<latchkey::kubernetes::TokenReview&>(review)
        .mutable_status()
        ->set_authenticated(true);
    return absl::OkStatus();
  });

  const auto answer = client.Create(latchkey::kubernetes::TokenReview());

  ASSERT_THAT(answer, IsOk());
  EXPECT_TRUE(answer->status().authenticated());
}

TEST(FakeKubernetesClientTest, ACsrIsCreatedAsByTheRequesterThatItNames) {
  FakeKubernetesClient client;
  latchkey::kubernetes::CertificateSigningRequest csr;
  csr.mutable_metadata()->set_name("csr-1");
  auto& spec = *csr.mutable_spec();
  spec.set_request(kSampleCsrPem);
  spec.set_signer_name("example.com/signer");
  spec.add_usages("client auth");
  spec.set_username("system:bootstrap:abc123");
  spec.add_groups("system:bootstrappers:latchkey");

  const auto allowed = client.Create(csr);
  csr.mutable_spec()->set_groups(0, "system:bootstrappers");
  const auto denied = client.Create(csr);

  ASSERT_THAT(allowed, IsOk());
  EXPECT_EQ(allowed->spec().username(), "system:bootstrap:abc123");
  EXPECT_THAT(allowed->spec().groups(),
              ::testing::ElementsAre("system:bootstrappers:latchkey"));
  EXPECT_THAT(denied, StatusIs(absl::StatusCode::kPermissionDenied));
}

}  // namespace
}  // namespace latchkey_testing
