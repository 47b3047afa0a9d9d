#include "clients/doctor/active_probes.h"

#include <absl/time/clock.h>
#include <gmock/gmock.h>

#include "crypto/certificate_authority.h"
#include "tests/fakes/fake_kubernetes_client.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using ::latchkey_testing::FakeKubernetesClient;
using ::latchkey_testing::Verb;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using kubernetes::CertificateSigningRequest;
using kubernetes::CertificateSigningRequestList;
using kubernetes::Secret;
using kubernetes::SecretList;

class ActiveProbesTest : public ::testing::Test {
 protected:
  Findings ProbeTokens() {
    return ProbeBootstrapAuthentication(client_, login_, pause_, absl::Now());
  }
  Findings ProbeSigning() { return ProbeSigner(client_, pause_, absl::Now()); }

  // Who the API server takes the token for: nobody for `refusals` times.
  void Know(int refusals, const std::string& prefix) {
    other_.AnswerReview([=, this](google::protobuf::Message& review) {
      if (++asked_ <= refusals) return absl::UnauthenticatedError("401");
      dynamic_cast<kubernetes::SelfSubjectReview&>(review)
          .mutable_status()
          ->mutable_user_info()
          ->set_username(prefix + id_);
      return absl::OkStatus();
    });
  }
  std::vector<Secret> Secrets() {
    const auto list = client_.List<SecretList>({});
    return {list->items().begin(), list->items().end()};
  }
  std::vector<CertificateSigningRequest> Csrs() {
    const auto list = client_.List<CertificateSigningRequestList>({});
    return {list->items().begin(), list->items().end()};
  }

  FakeKubernetesClient client_;
  FakeKubernetesClient other_;
  std::string id_;
  int asked_ = 0;
  int pauses_left_ = 1000;

  // Hands out `other_`, which lives longer.
  class Borrowed;
  BearerLogin login_ = [this](const SecretString& token)
      -> absl::StatusOr<std::unique_ptr<KubernetesClient>> {
    id_ = token.Reveal().substr(0, 6);
    seen_ = Secrets();
    return Borrow();
  };
  Pause pause_ = [this](absl::Duration) { return --pauses_left_ > 0; };
  std::vector<Secret> seen_;

  std::unique_ptr<KubernetesClient> Borrow();
};

class ActiveProbesTest::Borrowed final : public KubernetesClient {
 public:
  explicit Borrowed(KubernetesClient& inner) : inner_(inner) {}
  absl::Status CreateObject(const Resource& resource, std::string_view space,
                            const google::protobuf::Message& object,
                            google::protobuf::Message& result) override {
    return inner_.CreateObject(resource, space, object, result);
  }
  absl::Status GetObject(const Resource&, const ObjectName&,
                         google::protobuf::Message&) override {
    return absl::UnimplementedError("");
  }
  absl::Status UpdateObject(const Resource&, const ObjectName&,
                            std::string_view, const google::protobuf::Message&,
                            google::protobuf::Message&) override {
    return absl::UnimplementedError("");
  }
  absl::Status DeleteObject(const Resource&, const ObjectName&,
                            const DeletePreconditions&) override {
    return absl::UnimplementedError("");
  }
  absl::Status ListObjects(const Resource&, const ListQuery&,
                           google::protobuf::Message&) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<std::unique_ptr<WatchStream>> WatchObjects(
      const Resource&, const WatchQuery&) override {
    return absl::UnimplementedError("");
  }

 private:
  KubernetesClient& inner_;
};

std::unique_ptr<KubernetesClient> ActiveProbesTest::Borrow() {
  return std::make_unique<Borrowed>(other_);
}

TEST_F(ActiveProbesTest, ATokenThatTheServerKnowsProvesIt) {
  Know(3, "system:bootstrap:");
  const Findings findings = ProbeTokens();
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_EQ(findings[0].id, "bootstrap-authentication");
  EXPECT_EQ(findings[0].severity, Severity::kOk);
  EXPECT_EQ(asked_, 4);
  // It was there, in the form of a token, not as one of the broker's.
  ASSERT_THAT(seen_, SizeIs(1));
  EXPECT_EQ(seen_[0].type(), "bootstrap.kubernetes.io/token");
  EXPECT_EQ(seen_[0].metadata().labels().at("app.kubernetes.io/managed-by"),
            "latchkey-doctor");
  EXPECT_THAT(Secrets(), IsEmpty());
}

TEST_F(ActiveProbesTest, AServerThatKnowsNoTokensIsFoundOut) {
  Know(1000, "");
  const Findings findings = ProbeTokens();
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_EQ(findings[0].id, "bootstrap-authentication");
  EXPECT_EQ(findings[0].severity, Severity::kError);
  EXPECT_THAT(findings[0].advice, HasSubstr("--enable-bootstrap-token-auth"));
  EXPECT_THAT(Secrets(), IsEmpty());
}

TEST_F(ActiveProbesTest, AnotherUserIsNoProof) {
  Know(0, "system:anonymous");
  EXPECT_EQ(ProbeTokens().front().severity, Severity::kError);
}

TEST_F(ActiveProbesTest, InterruptedItRemovesTheToken) {
  Know(1000, "");
  pauses_left_ = 2;
  const Findings findings = ProbeTokens();
  EXPECT_THAT(findings, SizeIs(1));
  EXPECT_EQ(findings[0].id, "bootstrap-authentication-not-checked");
  EXPECT_LE(asked_, 2);
  EXPECT_THAT(Secrets(), IsEmpty());
}

TEST_F(ActiveProbesTest, ATokenWhoseCreationWasNotAnsweredIsRemoved) {
  client_.FailNext(Verb::kCreate, 1, absl::DeadlineExceededError("lost"),
                   FakeKubernetesClient::Effect::kDone);
  const Findings findings = ProbeTokens();
  EXPECT_THAT(findings, SizeIs(1));
  EXPECT_THAT(Secrets(), IsEmpty());
}

TEST_F(ActiveProbesTest, ARemovalThatFailsOnceIsTriedAgain) {
  Know(0, "system:bootstrap:");
  client_.FailNext(Verb::kDelete, 1, absl::UnavailableError("x"));
  EXPECT_THAT(ProbeTokens(), SizeIs(1));
  EXPECT_THAT(Secrets(), IsEmpty());
}

TEST_F(ActiveProbesTest, WhatCannotBeRemovedIsToldOf) {
  Know(0, "system:bootstrap:");
  for (int i = 1; i <= 4; ++i) {
    client_.FailNext(Verb::kDelete, i, absl::UnavailableError("x"));
  }
  const Findings findings = ProbeTokens();
  ASSERT_THAT(findings, SizeIs(2));
  EXPECT_EQ(findings[1].id, "left-behind");
  EXPECT_THAT(findings[1].commands,
              ElementsAre("kubectl -n kube-system delete secrets "
                          "bootstrap-token-" +
                          id_));
}

TEST_F(ActiveProbesTest, WithoutTheRightNothingIsMade) {
  client_.FailNext(Verb::kCreate, 1, absl::PermissionDeniedError("no"));
  const Findings findings = ProbeTokens();
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_EQ(findings[0].id, "bootstrap-authentication-not-checked");
  EXPECT_THAT(findings[0].message,
              HasSubstr("needs create and delete secrets"));
  EXPECT_EQ(client_.Calls(Verb::kDelete), 0);
}

// The fake has no controllers.
TEST_F(ActiveProbesTest, AClusterWithoutASignerIsFoundOut) {
  const Findings findings = ProbeSigning();
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_EQ(findings[0].id, "signer");
  EXPECT_EQ(findings[0].severity, Severity::kError);
  EXPECT_THAT(Csrs(), IsEmpty());
}

TEST_F(ActiveProbesTest, ASignatureProvesASigner) {
  client_.BeforeNext(Verb::kGet, 3, [&] {
    auto csr = Csrs().front();
    EXPECT_EQ(csr.status().conditions(0).type(), "Approved");
    csr.mutable_status()->set_certificate(
        CertificateAuthority::Create("c", absl::Now(),
                                     absl::Now() + absl::Hours(1))
            ->certificate_pem());
    EXPECT_THAT(client_.Update(csr, "status"), latchkey_testing::IsOk());
  });
  const Findings findings = ProbeSigning();
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_EQ(findings[0].severity, Severity::kOk) << findings[0].message;
  EXPECT_THAT(Csrs(), IsEmpty());
}

TEST_F(ActiveProbesTest, InterruptedItRemovesTheRequest) {
  pauses_left_ = 3;
  EXPECT_EQ(ProbeSigning().front().id, "signer-not-checked");
  EXPECT_THAT(Csrs(), IsEmpty());
}

TEST_F(ActiveProbesTest, WithoutTheRightToApproveNothingIsLeft) {
  client_.FailNext(Verb::kUpdate, 1, absl::PermissionDeniedError("no"));
  const Findings findings = ProbeSigning();
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_EQ(findings[0].id, "signer-not-checked");
  EXPECT_THAT(Csrs(), IsEmpty());
}

}  // namespace
}  // namespace latchkey
