#include "clients/doctor/doctor.h"

#include <algorithm>

#include <absl/time/clock.h>
#include <gmock/gmock.h>

#include "crypto/certificate_authority.h"
#include "tests/fakes/fake_http_client.h"
#include "tests/fakes/fake_kubernetes_client.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using ::latchkey_testing::FakeHttpClient;
using ::latchkey_testing::FakeKubernetesClient;
using ::latchkey_testing::Verb;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Over an embedded control plane with Latchkey's roles, as an administrator.
class DoctorTest : public ::testing::Test {
 protected:
  Findings Examined() {
    return Examine(options_, {.client = client_,
                              .http = http_,
                              .bearer_token = token_,
                              .login = login_,
                              .pause = pause_,
                              .clock = clock_});
  }

  // The ids of what is worse than info.
  std::vector<std::string> Bad() {
    std::vector<std::string> ids;
    for (const Finding& finding : Examined()) {
      if (finding.severity > Severity::kInfo) ids.push_back(finding.id);
    }
    return ids;
  }

  absl::StatusOr<HttpResponse> Version() {
    if (!reachable_) return absl::UnavailableError("connection refused");
    HttpResponse response;
    response.status = 200;
    response.body = R"({"gitVersion":"v1.37.2"})";
    response.headers["date"] = absl::FormatTime(
        "%a, %d %b %Y %H:%M:%S GMT", clock_.Now() + skew_, absl::UTCTimeZone());
    response.server_certificates_pem = Pem(absl::Hours(24 * 365));
    return response;
  }
  std::string Pem(absl::Duration left) {
    return CertificateAuthority::Create("c", clock_.Now() - absl::Hours(2400),
                                        clock_.Now() + left)
        ->certificate_pem();
  }

  const SystemClock clock_;
  absl::Duration skew_ = absl::ZeroDuration();
  bool reachable_ = true;
  FakeKubernetesClient client_;
  FakeHttpClient http_{[this](const HttpRequest&) { return Version(); }};
  SecretString token_;
  BearerLogin login_ = [](const SecretString&) {
    return absl::UnimplementedError("no login");
  };
  Pause pause_ = [](absl::Duration) { return true; };
  DoctorOptions options_{.broker_account =
                             "system:serviceaccount:kube-system:latchkey"};
};

TEST_F(DoctorTest, AHealthyClusterHasNothingWorseThanInfo) {
  EXPECT_THAT(Bad(), ElementsAre());
  std::vector<std::string> ids;
  for (const Finding& finding : Examined()) ids.push_back(finding.id);
  EXPECT_THAT(ids,
              ElementsAre("api-server-version", "clock-skew", "auto-approval",
                          "token-group-rights", "bootstrap-tokens",
                          "token-group-excess", "broker-rights", "signer",
                          "bootstrap-authentication", "certificate-expiry"));
}

TEST_F(DoctorTest, NothingIsWrittenUnlessItIsActive) {
  Examined();
  EXPECT_EQ(client_.Calls(Verb::kUpdate), 0);
  EXPECT_EQ(client_.Calls(Verb::kDelete), 0);
  EXPECT_TRUE(client_.List<kubernetes::SecretList>({})->items().empty());
}

TEST_F(DoctorTest, AServerThatIsNotThereIsOneError) {
  reachable_ = false;
  options_.certificates = {{.where = "a file", .pem = Pem(absl::Hours(1))}};
  // What can be looked at without it is.
  EXPECT_THAT(Bad(),
              ElementsAre("api-server-unreachable", "certificate-expiry"));
  EXPECT_EQ(client_.Calls(Verb::kCreate), 0);
}

TEST_F(DoctorTest, CredentialsThatAreRefusedAreOneError) {
  client_.FailNext(Verb::kCreate, 1, absl::UnauthenticatedError("401"));
  EXPECT_THAT(Bad(), ElementsAre("credentials-refused"));
}

TEST_F(DoctorTest, WhatMayNotBeAskedIsSaidAndTheRestIsLookedAt) {
  client_.AnswerReview([](google::protobuf::Message&) {
    return absl::PermissionDeniedError("may not create");
  });
  client_.FailNext(Verb::kList, 1, absl::PermissionDeniedError("no secrets"));
  client_.FailNext(Verb::kList, 2, absl::PermissionDeniedError("no csrs"));
  EXPECT_THAT(
      Bad(),
      ElementsAre("auto-approval-not-checked", "token-group-rights-not-checked",
                  "bootstrap-tokens-not-checked",
                  "token-group-excess-not-checked", "broker-rights-not-checked",
                  "signer-not-checked"));
}

TEST_F(DoctorTest, ASkewedClockIsFoundAndTokensAreJudgedByTheServers) {
  skew_ = absl::Minutes(10);
  kubernetes::Secret secret;
  secret.mutable_metadata()->set_namespace_("kube-system");
  secret.mutable_metadata()->set_name("bootstrap-token-abcdef");
  secret.set_type("bootstrap.kubernetes.io/token");
  (*secret.mutable_data())["token-id"] = "abcdef";
  (*secret.mutable_data())["expiration"] =
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", clock_.Now() + absl::Minutes(5),
                       absl::UTCTimeZone());
  ASSERT_THAT(client_.Create(secret), latchkey_testing::IsOk());
  EXPECT_THAT(Bad(), ElementsAre("clock-skew", "token-expired"));
}

TEST_F(DoctorTest, AGroupWithoutItsBindingIsFound) {
  options_.broker.token_group = "system:bootstrappers:mine";
  EXPECT_THAT(Bad(), ElementsAre("token-group-rights"));
}

TEST_F(DoctorTest, ABrokerOfServiceAccountsNeedsToReviewTheirTokens) {
  options_.broker_account = "somebody";
  options_.broker.takes_service_accounts = true;
  for (const Finding& finding : Examined()) {
    if (finding.id != "broker-rights-missing") continue;
    EXPECT_THAT(finding.evidence, Contains("create tokenreviews"));
  }
  EXPECT_THAT(Bad(), ElementsAre("broker-rights-missing"));
}

TEST_F(DoctorTest, EachGroupOfThePolicyIsAskedAbout) {
  options_.broker.policy_groups = {"system:bootstrappers:approved"};
  client_.AnswerReview([](google::protobuf::Message& message) {
    if (auto* review =
            dynamic_cast<kubernetes::SubjectAccessReview*>(&message)) {
      const auto& groups = review->spec().groups();
      const bool nodeclient =
          review->spec().resource_attributes().subresource() == "nodeclient";
      review->mutable_status()->set_allowed(
          !nodeclient ||
          std::find(groups.begin(), groups.end(),
                    "system:bootstrappers:approved") != groups.end());
    }
    return absl::OkStatus();
  });
  EXPECT_THAT(Bad(), Contains("auto-approval"));
}

// Whose they are makes no difference to a thief.
TEST_F(DoctorTest, TheRightsOfEachGroupOfALiveTokenAreAskedAbout) {
  kubernetes::Secret secret;
  secret.mutable_metadata()->set_namespace_("kube-system");
  secret.mutable_metadata()->set_name("bootstrap-token-abcdef");
  secret.set_type("bootstrap.kubernetes.io/token");
  auto& data = *secret.mutable_data();
  data["token-id"] = "abcdef";
  data["usage-bootstrap-authentication"] = "true";
  data["auth-extra-groups"] = "system:bootstrappers:pool";
  data["expiration"] = absl::FormatTime(
      "%Y-%m-%dT%H:%M:%SZ", clock_.Now() + absl::Hours(1), absl::UTCTimeZone());
  ASSERT_THAT(client_.Create(secret), latchkey_testing::IsOk());
  EXPECT_THAT(Bad(), ElementsAre());

  std::string guilty = "system:bootstrappers:pool";
  client_.AnswerReview([&](google::protobuf::Message& message) {
    if (auto* review =
            dynamic_cast<kubernetes::SubjectAccessReview*>(&message)) {
      const auto& groups = review->spec().groups();
      const auto& asked = review->spec().resource_attributes();
      const bool harmless = asked.resource() == "certificatesigningrequests" &&
                            asked.subresource() != "nodeclient" &&
                            asked.subresource() != "approval";
      const bool reads = asked.verb() == "get" && asked.resource() == "secrets";
      review->mutable_status()->set_allowed(
          harmless || (reads && std::find(groups.begin(), groups.end(),
                                          guilty) != groups.end()));
    }
    return absl::OkStatus();
  });
  const auto severity = [this] {
    for (const Finding& finding : Examined()) {
      if (finding.id == "token-group-excess") return finding.severity;
    }
    return Severity::kOk;
  };
  EXPECT_EQ(severity(), Severity::kWarning);
  guilty = options_.broker.token_group;
  EXPECT_EQ(severity(), Severity::kError);
  guilty = "system:authenticated";
  EXPECT_EQ(severity(), Severity::kError);
  guilty = "system:masters";
  EXPECT_EQ(severity(), Severity::kOk);
}

TEST_F(DoctorTest, OnesOwnRightsAreAskedForWithoutNamingAnybody) {
  options_.broker_account = "";
  // An administrator may do too much.
  EXPECT_THAT(Bad(), ElementsAre("broker-rights-excess"));
}

}  // namespace
}  // namespace latchkey
