// All the ways to say who we are, against the real API server.

#include <filesystem>

#include <absl/strings/escaping.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "clients/kubernetes/kubeconfig.h"
#include "tests/e2e/cluster_client.h"
#include "tests/testing/control_plane.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace latchkey_testing {
namespace {

using latchkey::KubernetesClient;
using latchkey::kubernetes::ConfigMap;
using latchkey::kubernetes::Secret;
using latchkey::kubernetes::SelfSubjectAccessReview;
using latchkey::kubernetes::SelfSubjectReview;
using latchkey::kubernetes::SubjectAccessReview;
using latchkey::kubernetes::TokenReview;

class CredentialsTest : public ControlPlaneTest {
 protected:
  void SetUp() override {
    ControlPlaneTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    admin_ = ClientOfKubeconfig(cluster().admin_kubeconfig());
    ASSERT_NE(admin_, nullptr);
  }

  // Writes a kubeconfig of the cluster with these lines for the user.
  std::string Kubeconfig(const std::string& user, std::string server = "",
                         const std::string& cluster_lines = "") {
    if (server.empty()) server = cluster().url();
    const std::string ca = ReadFile(cluster().Path("pki/ca.crt"));
    return dir_.Write("config", fmt::format(R"(
current-context: x
contexts: [{{name: x, context: {{cluster: x, user: x}}}}]
clusters:
- name: x
  cluster:
    server: {}
    certificate-authority-data: {}
{}
users:
- name: x
  user:
{}
)",
                                            server, absl::Base64Escape(ca),
                                            cluster_lines, user));
  }

  // A new bootstrap token, as a bearer credential.
  std::string NewToken() {
    const ProgramResult made =
        cluster().Run({"kubeadm", "token", "create", "--ttl=1h"});
    EXPECT_EQ(made.exit_code, 0) << made.err;
    return made.out.substr(0, made.out.find('\n'));
  }

  // The user that the server sees; empty, and a failure, if it sees none.
  static std::string WhoAmI(KubernetesClient& client) {
    const auto review = client.Create(SelfSubjectReview());
    EXPECT_THAT(review, IsOk());
    return review.ok() ? review->status().user_info().username() : "";
  }
  static std::string UserOf(const std::string& token) {
    return "system:bootstrap:" + token.substr(0, 6);
  }

  KubernetesClient& admin() { return *admin_; }
  const TempDir dir_;

 private:
  std::unique_ptr<KubernetesClient> admin_;
};

TEST_F(CredentialsTest, CertificatesByFile) {
  EXPECT_THAT(WhoAmI(admin()), ::testing::HasSubstr("admin"));
}

TEST_F(CredentialsTest, CertificatesWithinTheKubeconfig) {
  // The administrator's own, with everything moved into the file.
  const auto config = latchkey::LoadKubeconfig(cluster().admin_kubeconfig());
  ASSERT_THAT(config, IsOk());
  const auto credentials = latchkey::ReadCredentials(*config);
  ASSERT_THAT(credentials, IsOk());
  const auto client = ClientOfKubeconfig(Kubeconfig(fmt::format(
      "    client-certificate-data: {}\n    client-key-data: {}",
      absl::Base64Escape(credentials->client_certificate_pem),
      absl::Base64Escape(std::string(credentials->client_key_pem.Reveal())))));
  ASSERT_NE(client, nullptr);

  EXPECT_EQ(WhoAmI(*client), WhoAmI(admin()));
}

TEST_F(CredentialsTest, ATokenWithinTheKubeconfig) {
  const std::string token = NewToken();
  const auto client = ClientOfKubeconfig(Kubeconfig("    token: " + token));
  ASSERT_NE(client, nullptr);

  EXPECT_EQ(WhoAmI(*client), UserOf(token));
}

TEST_F(CredentialsTest, ATokenFileThatIsReplaced) {
  const std::string first = NewToken();
  const std::string second = NewToken();
  dir_.Write("token", first + "\n");
  FakeClock clock;
  const auto client =
      ClientOfKubeconfig(Kubeconfig("    tokenFile: token"), clock);
  ASSERT_NE(client, nullptr);
  EXPECT_EQ(WhoAmI(*client), UserOf(first));

  std::filesystem::rename(dir_.Write("token.new", second), dir_.File("token"));
  clock.Advance(absl::Seconds(1));

  EXPECT_EQ(WhoAmI(*client), UserOf(second));
}

// The 401 itself makes the client look at the file, whatever the time.
TEST_F(CredentialsTest, ARefusedTokenIsRenewedWithinTheRequest) {
  const std::string good = NewToken();
  dir_.Write("token", "aaaaaa.0123456789abcdef");
  const FakeClock stopped;
  const auto client =
      ClientOfKubeconfig(Kubeconfig("    tokenFile: token"), stopped);
  ASSERT_NE(client, nullptr);
  EXPECT_THAT(client->Create(SelfSubjectReview()),
              StatusIs(absl::StatusCode::kUnauthenticated));

  dir_.Write("token", good);

  EXPECT_EQ(WhoAmI(*client), UserOf(good));
}

TEST_F(CredentialsTest, AnotherCertificateMakesAnotherUser) {
  const std::string token = NewToken();
  FakeClock clock;
  const auto client =
      ClientOfKubeconfig(Kubeconfig("    token: " + token), clock);
  ASSERT_NE(client, nullptr);
  EXPECT_EQ(WhoAmI(*client), UserOf(token));

  std::filesystem::copy(cluster().admin_kubeconfig(), dir_.File("config"),
                        std::filesystem::copy_options::overwrite_existing);
  std::filesystem::copy(cluster().Path("pki"), dir_.File("pki"));
  clock.Advance(absl::Seconds(1));

  EXPECT_EQ(WhoAmI(*client), WhoAmI(admin()));
}

TEST_F(CredentialsTest, TheServerMayBeKnownByAnotherName) {
  const std::string token = NewToken();
  const std::string port = cluster().url().substr(cluster().url().rfind(':'));
  const auto right = ClientOfKubeconfig(
      Kubeconfig("    token: " + token, "https://127.0.0.1" + port,
                 "    tls-server-name: localhost"));
  ASSERT_NE(right, nullptr);
  EXPECT_EQ(WhoAmI(*right), UserOf(token));

  const auto wrong = ClientOfKubeconfig(
      Kubeconfig("    token: " + token, "https://127.0.0.1" + port,
                 "    tls-server-name: wrong.latchkey.test"));
  ASSERT_NE(wrong, nullptr);
  EXPECT_THAT(wrong->Create(SelfSubjectReview()),
              StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(CredentialsTest, ANobodyIsUnauthenticatedAndAStrangerDenied) {
  const auto nobody =
      ClientOfKubeconfig(Kubeconfig("    token: aaaaaa.0123456789abcdef"));
  ASSERT_NE(nobody, nullptr);
  EXPECT_THAT(nobody->Get<Secret>({"kube-system", "x"}),
              StatusIs(absl::StatusCode::kUnauthenticated));
  EXPECT_THAT(
      nobody->WatchObjects(latchkey::kSecrets, {.resource_version = "1"})
          .status(),
      StatusIs(absl::StatusCode::kUnauthenticated));

  const auto stranger =
      ClientOfKubeconfig(Kubeconfig("    token: " + NewToken()));
  ASSERT_NE(stranger, nullptr);
  EXPECT_THAT(stranger->Get<Secret>({"kube-system", "x"}),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       ::testing::StartsWith("get secrets kube-system/x: ")));
  EXPECT_THAT(
      stranger->WatchObjects(latchkey::kSecrets, {.resource_version = "1"})
          .status(),
      StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(stranger->Create([] {
    ConfigMap map;
    map.mutable_metadata()->set_namespace_("kube-public");
    map.mutable_metadata()->set_name("x");
    return map;
  }()),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(CredentialsTest, ReviewsAnswer) {
  const std::string token = NewToken();
  TokenReview whose;
  whose.mutable_spec()->set_token(token);
  const auto user = admin().Create(whose);
  ASSERT_THAT(user, IsOk());
  EXPECT_TRUE(user->status().authenticated());
  EXPECT_EQ(user->status().user().username(), UserOf(token));
  EXPECT_THAT(user->status().user().groups(),
              ::testing::Contains("system:bootstrappers"));

  whose.mutable_spec()->set_token("aaaaaa.0123456789abcdef");
  const auto none = admin().Create(whose);
  ASSERT_THAT(none, IsOk());
  EXPECT_FALSE(none->status().authenticated());

  SubjectAccessReview may;
  may.mutable_spec()->set_user("nobody");
  may.mutable_spec()->add_groups("system:masters");
  auto* attributes = may.mutable_spec()->mutable_resource_attributes();
  attributes->set_namespace_("kube-system");
  attributes->set_verb("get");
  attributes->set_resource("secrets");
  const auto allowed = admin().Create(may);
  ASSERT_THAT(allowed, IsOk());
  EXPECT_TRUE(allowed->status().allowed());
  may.mutable_spec()->set_groups(0, "none");
  const auto refused = admin().Create(may);
  ASSERT_THAT(refused, IsOk());
  EXPECT_FALSE(refused->status().allowed());

  SelfSubjectAccessReview may_i;
  *may_i.mutable_spec()->mutable_resource_attributes() = *attributes;
  const auto mine = admin().Create(may_i);
  ASSERT_THAT(mine, IsOk());
  EXPECT_TRUE(mine->status().allowed());
}

}  // namespace
}  // namespace latchkey_testing
