// What the contract of Kubernetes cannot show: times, errors and the approver.
// The rest of the controllers' behaviour is in kubernetes_contract_*.cc.

#include "devcluster/controllers.h"

#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "clients/kubernetes/kube_time.h"
#include "core/text_time.h"
#include "crypto/certificate.h"
#include "tests/fakes/fake_kubernetes_client.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/sample_csr.h"
#include "tests/testing/status_matchers.h"

namespace latchkey_testing {
namespace {

using Csr = latchkey::kubernetes::CertificateSigningRequest;
using latchkey::kubernetes::ConfigMap;
using latchkey::kubernetes::Secret;
using latchkey::kubernetes::SubjectAccessReview;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ControllersTest : public ::testing::Test {
 protected:
  void Start(const latchkey::ControllerOptions& options = {}) {
    controllers_.emplace(client_, ca_, clock_, options);
  }
  absl::Time Step() { return controllers_->Step(); }
  // Until their own writes have come back to them.
  void Settle() {
    for (int i = 0; i < 4; ++i) Step();
  }

  Csr MustCreateCsr(const std::string& name, const std::string& username = "") {
    Csr csr;
    csr.mutable_metadata()->set_name(name);
    auto& spec = *csr.mutable_spec();
    spec.set_request(kSampleCsrPem);
    spec.set_signer_name("kubernetes.io/kube-apiserver-client-kubelet");
    spec.add_usages("digital signature");
    spec.add_usages("client auth");
    if (!username.empty()) {
      spec.set_username(username);
      spec.add_groups("system:bootstrappers:latchkey");
    }
    auto created = client_.Create(csr);
    EXPECT_THAT(created, IsOk());
    return created.value_or(csr);
  }
  void Approve(Csr csr) {
    auto& condition = *csr.mutable_status()->add_conditions();
    condition.set_type("Approved");
    condition.set_status("True");
    *condition.mutable_last_update_time() =
        latchkey::ToKubernetesTime(clock_.Now());
    EXPECT_THAT(client_.Update(csr, "approval"), IsOk());
  }
  Csr Get(const std::string& name) {
    auto csr = client_.Get<Csr>({"", name});
    EXPECT_THAT(csr, IsOk());
    return csr.value_or(Csr());
  }
  Secret MustCreateToken(const std::string& id, absl::Time expiration) {
    Secret secret;
    secret.mutable_metadata()->set_namespace_("kube-system");
    secret.mutable_metadata()->set_name("bootstrap-token-" + id);
    secret.set_type("bootstrap.kubernetes.io/token");
    auto& data = *secret.mutable_data();
    data["token-id"] = id;
    data["token-secret"] = "0123456789abcdef";
    data["usage-bootstrap-signing"] = "true";
    data["expiration"] = latchkey::FormatRfc3339(expiration);
    auto created = client_.Create(secret);
    EXPECT_THAT(created, IsOk());
    return created.value_or(secret);
  }
  bool HasToken(const std::string& id) {
    return client_.Get<Secret>({"kube-system", "bootstrap-token-" + id}).ok();
  }
  // Lets reviews of these subresources pass, and keeps what was asked.
  void Allow(const std::string& subresource) {
    client_.AnswerReview([this, subresource](google::protobuf::Message& m) {
      auto& review = static_cast<SubjectAccessReview&>(m);
      const auto& asked = review.spec().resource_attributes();
      asked_.push_back(asked.subresource());
      review.mutable_status()->set_allowed(asked.subresource() == subresource);
      return absl::OkStatus();
    });
  }

  FakeClock clock_;
  FakeKubernetesClient client_{clock_};
  const latchkey::CertificateAuthority ca_ =
      latchkey::CertificateAuthority::Create(
          "ca", clock_.Now() - absl::Hours(1),
          clock_.Now() + absl::Hours(10 * 365 * 24))
          .value();
  std::optional<latchkey::Controllers> controllers_;
  std::vector<std::string> asked_;
};

TEST_F(ControllersTest, WhatWasThereBeforeTheStartIsDone) {
  Approve(MustCreateCsr("a"));
  Start();

  Step();

  EXPECT_NE(Get("a").status().certificate(), "");
}

TEST_F(ControllersTest, WithNothingToDoTheNextLookIsTheCleaners) {
  Start();

  EXPECT_EQ(Step(), clock_.Now() + absl::Hours(1));
}

TEST_F(ControllersTest, AFailedWriteIsTriedAgainSoon) {
  Approve(MustCreateCsr("a"));
  Start();
  client_.FailNext(Verb::kUpdate, 1, absl::UnavailableError("down"));

  EXPECT_EQ(Step(), clock_.Now() + absl::Seconds(1));
  EXPECT_EQ(Get("a").status().certificate(), "");

  Step();
  EXPECT_NE(Get("a").status().certificate(), "");
}

TEST_F(ControllersTest, ACertificateEndsWithItsAuthority) {
  clock_.Advance(absl::Hours(10 * 365 * 24 - 1));
  Approve(MustCreateCsr("a"));
  Start();
  Step();

  const auto issued =
      latchkey::Certificate::ParseAll(Get("a").status().certificate());
  ASSERT_THAT(issued, IsOk());
  EXPECT_EQ(issued->front().not_after, clock_.Now() + absl::Hours(1));

  clock_.Advance(absl::Hours(1));
  Approve(MustCreateCsr("b"));
  Step();
  EXPECT_EQ(Get("b").status().certificate(), "");
  EXPECT_EQ(Get("b").status().conditions_size(), 1);
}

TEST_F(ControllersTest, AFailedListIsTriedAgainSoon) {
  Approve(MustCreateCsr("a"));
  Start();
  client_.FailNext(Verb::kList, 1, absl::UnavailableError("down"));

  EXPECT_EQ(Step(), clock_.Now() + absl::Seconds(1));

  Step();
  EXPECT_NE(Get("a").status().certificate(), "");
}

TEST_F(ControllersTest, AForgottenHistoryIsListedAnew) {
  Start();
  Step();
  Approve(MustCreateCsr("a"));
  client_.ForgetHistory();

  Settle();

  EXPECT_NE(Get("a").status().certificate(), "");
}

TEST_F(ControllersTest, ASignedRequestIsLeftAlone) {
  Approve(MustCreateCsr("a"));
  Start();
  Settle();
  const int updates = client_.Calls(Verb::kUpdate);

  Settle();

  EXPECT_EQ(client_.Calls(Verb::kUpdate), updates);
}

TEST_F(ControllersTest, ATokenGoesAtTheInstantOfItsExpiration) {
  MustCreateToken("aaaaaa", clock_.Now() + absl::Minutes(5));
  MustCreateToken("bbbbbb", clock_.Now() + absl::Minutes(6));
  Start();

  EXPECT_EQ(Step(), clock_.Now() + absl::Minutes(5));
  clock_.Advance(absl::Minutes(5) - absl::Seconds(1));
  Step();
  EXPECT_TRUE(HasToken("aaaaaa"));

  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(Step(), clock_.Now() + absl::Minutes(1));
  EXPECT_FALSE(HasToken("aaaaaa"));
  EXPECT_TRUE(HasToken("bbbbbb"));
}

TEST_F(ControllersTest, ATokenOfLongerLifeStays) {
  Secret secret = MustCreateToken("aaaaaa", clock_.Now() + absl::Minutes(5));
  Start();
  Step();
  (*secret.mutable_data())["expiration"] =
      latchkey::FormatRfc3339(clock_.Now() + absl::Hours(5));
  ASSERT_THAT(client_.Update(secret), IsOk());
  clock_.Advance(absl::Minutes(5));

  Step();

  EXPECT_TRUE(HasToken("aaaaaa"));
}

TEST_F(ControllersTest, ATokenThatCannotBeDeletedIsTriedAgain) {
  MustCreateToken("aaaaaa", clock_.Now());
  Start();
  client_.FailNext(Verb::kDelete, 1, absl::UnavailableError("down"));

  EXPECT_EQ(Step(), clock_.Now() + absl::Seconds(1));

  Step();
  EXPECT_FALSE(HasToken("aaaaaa"));
}

TEST_F(ControllersTest, AnExpiredTokensSignatureGoesWithIt) {
  ConfigMap info;
  info.mutable_metadata()->set_namespace_("kube-public");
  info.mutable_metadata()->set_name("cluster-info");
  (*info.mutable_data())["kubeconfig"] = "config";
  (*info.mutable_data())["other"] = "kept";
  ASSERT_THAT(client_.Create(info), IsOk());
  MustCreateToken("aaaaaa", clock_.Now() + absl::Minutes(5));
  Start();
  Settle();
  auto now = client_.Get<ConfigMap>({"kube-public", "cluster-info"});
  ASSERT_THAT(now, IsOk());
  EXPECT_EQ(now->data().count("jws-kubeconfig-aaaaaa"), 1U);

  clock_.Advance(absl::Minutes(5));
  Settle();

  now = client_.Get<ConfigMap>({"kube-public", "cluster-info"});
  ASSERT_THAT(now, IsOk());
  EXPECT_EQ(now->data().count("jws-kubeconfig-aaaaaa"), 0U);
  EXPECT_EQ(now->data().at("other"), "kept");
}

TEST_F(ControllersTest, OldRequestsAreClearedEveryHour) {
  Start();
  MustCreateCsr("old");
  clock_.Advance(absl::Hours(24));
  Step();
  MustCreateCsr("young");
  clock_.Advance(absl::Minutes(59));
  Step();
  EXPECT_THAT(client_.Get<Csr>({"", "old"}), IsOk());

  clock_.Advance(absl::Minutes(1));
  Step();

  EXPECT_THAT(client_.Get<Csr>({"", "old"}),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(client_.Get<Csr>({"", "young"}), IsOk());
}

TEST_F(ControllersTest, NobodyApprovesUnlessTold) {
  Allow("nodeclient");
  MustCreateCsr("a");
  Start();

  Settle();

  EXPECT_THAT(asked_, IsEmpty());
  EXPECT_EQ(Get("a").status().conditions_size(), 0);
}

TEST_F(ControllersTest, TheStockApproverApprovesAnyNodeName) {
  Allow("nodeclient");
  MustCreateCsr("a", "system:bootstrap:aaaaaa");
  Start({.stock_approver = true});

  Settle();

  EXPECT_THAT(asked_, ElementsAre("nodeclient"));
  const Csr csr = Get("a");
  ASSERT_EQ(csr.status().conditions_size(), 1);
  EXPECT_EQ(csr.status().conditions(0).type(), "Approved");
  EXPECT_EQ(csr.status().conditions(0).reason(), "AutoApproved");
  EXPECT_NE(csr.status().certificate(), "");
}

TEST_F(ControllersTest, TheStockApproverKnowsANodeThatRenews) {
  Allow("selfnodeclient");
  MustCreateCsr("a", "system:node:contract");
  Start({.stock_approver = true});

  Settle();

  EXPECT_THAT(asked_, ElementsAre("selfnodeclient"));
  EXPECT_NE(Get("a").status().certificate(), "");
}

TEST_F(ControllersTest, TheStockApproverDeniesNothing) {
  Allow("nothing");
  MustCreateCsr("a", "system:node:contract");
  Start({.stock_approver = true});

  Settle();

  EXPECT_THAT(asked_, ElementsAre("selfnodeclient", "nodeclient"));
  EXPECT_EQ(Get("a").status().conditions_size(), 0);
}

}  // namespace
}  // namespace latchkey_testing
