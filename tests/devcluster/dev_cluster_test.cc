#include "devcluster/dev_cluster.h"

#include <sys/stat.h>

#include <gmock/gmock.h>

#include "clients/kubernetes/kubeconfig.h"
#include "core/clock.h"
#include "crypto/certificate_request.h"
#include "tests/devcluster/dev_cluster_clients.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using Csr = latchkey::kubernetes::CertificateSigningRequest;
using latchkey::DevCluster;
using latchkey::kubernetes::ConfigMap;
using latchkey::kubernetes::Secret;
using latchkey::kubernetes::SelfSubjectReview;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class DevClusterTest : public ::testing::Test {
 protected:
  // Answers null, with the test failed, if it does not start.
  std::unique_ptr<DevCluster> MustStart(
      const latchkey::DevClusterOptions& options = {}) {
    auto started = DevCluster::Start(options, clock_);
    EXPECT_THAT(started, IsOk());
    return started.ok() ? *std::move(started) : nullptr;
  }
  latchkey::DevClusterOptions Kept() const {
    return {.data_dir = dir_.File("data")};
  }
  mode_t ModeOf(const std::string& path) const {
    struct stat status = {};
    EXPECT_EQ(stat(path.c_str(), &status), 0);
    return status.st_mode & 0777;
  }

  const latchkey::SystemClock clock_;
  const TempDir dir_;
};

Secret NewSecret(const std::string& name) {
  Secret secret;
  secret.mutable_metadata()->set_namespace_("kube-system");
  secret.mutable_metadata()->set_name(name);
  (*secret.mutable_data())["key"] = "value";
  return secret;
}

Csr NewCsr(const std::string& name) {
  const auto key =
      latchkey::PrivateKey::Generate(latchkey::KeyType::kP256).value();
  Csr csr;
  csr.mutable_metadata()->set_name(name);
  csr.mutable_spec()->set_request(latchkey::BuildCertificateRequest(
                                      key, {.common_name = "system:node:a",
                                            .organizations = {"system:nodes"}})
                                      .value());
  csr.mutable_spec()->set_signer_name(
      "kubernetes.io/kube-apiserver-client-kubelet");
  csr.mutable_spec()->add_usages("digital signature");
  csr.mutable_spec()->add_usages("client auth");
  return csr;
}

bool AwaitCertificate(latchkey::KubernetesClient& client,
                      const std::string& name) {
  return WaitUntil([&] {
    const auto csr = client.Get<Csr>({"", name});
    return csr.ok() && !csr->status().certificate().empty();
  });
}

TEST_F(DevClusterTest, ACertificateOfTheClusterLogsIn) {
  const auto cluster = MustStart();
  ASSERT_NE(cluster, nullptr);
  const auto identity = cluster->IssueClientCertificate(
      {.name = "me", .groups = {"us", "system:authenticated"}}, absl::Hours(1));
  ASSERT_THAT(identity, IsOk());

  const auto review =
      ClientOf(*cluster, *identity)->Create(SelfSubjectReview());

  ASSERT_THAT(review, IsOk());
  EXPECT_EQ(review->status().user_info().username(), "me");
  EXPECT_THAT(review->status().user_info().groups(),
              ElementsAre("us", "system:authenticated"));
}

TEST_F(DevClusterTest, AKubeconfigHasAllThatAClientNeeds) {
  const auto cluster = MustStart();
  ASSERT_NE(cluster, nullptr);
  const auto text =
      cluster->KubeconfigFor(latchkey::AdminUser(), absl::Hours(1));
  ASSERT_THAT(text, IsOk());

  const auto config = latchkey::ParseKubeconfig("admin.conf", text->Reveal());

  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->server, cluster->url());
  EXPECT_EQ(config->certificate_authority.inline_bytes.Reveal(),
            cluster->ca().certificate_pem());
  const auto client =
      ClientOf(*cluster, {.certificate_pem = std::string(
                              config->client_certificate.inline_bytes.Reveal()),
                          .private_key_pem = config->client_key.inline_bytes});
  EXPECT_THAT(client->Create(NewSecret("a")), IsOk());
}

TEST_F(DevClusterTest, TheControllersWorkByThemselves) {
  const auto cluster = MustStart();
  ASSERT_NE(cluster, nullptr);
  const auto admin = AdminOf(*cluster);
  auto csr = admin->Create(NewCsr("a"));
  ASSERT_THAT(csr, IsOk());
  auto& condition = *csr->mutable_status()->add_conditions();
  condition.set_type("Approved");
  condition.set_status("True");
  condition.set_reason("Test");
  ASSERT_THAT(admin->Update(*csr, "approval"), IsOk());

  EXPECT_TRUE(AwaitCertificate(*admin, "a"));
}

TEST_F(DevClusterTest, TheStockApproverWorksIfAskedFor) {
  const auto cluster = MustStart({.controllers = {.stock_approver = true}});
  ASSERT_NE(cluster, nullptr);
  const auto admin = AdminOf(*cluster);
  ASSERT_THAT(admin->Create(NewCsr("a")), IsOk());

  EXPECT_TRUE(AwaitCertificate(*admin, "a"));
}

TEST_F(DevClusterTest, ClusterInfoSaysWhereTheClusterIs) {
  const auto cluster = MustStart();
  ASSERT_NE(cluster, nullptr);

  const auto info =
      ClientOf(*cluster, {})->Get<ConfigMap>({"kube-public", "cluster-info"});

  ASSERT_THAT(info, IsOk());
  EXPECT_THAT(info->data().at("kubeconfig"),
              HasSubstr("server: " + cluster->url() + "\n"));
}

TEST_F(DevClusterTest, AKeptClusterIsTheSameAfterAStop) {
  std::string ca_pem;
  std::string uid;
  latchkey::IssuedIdentity identity;
  {
    const auto cluster = MustStart(Kept());
    ASSERT_NE(cluster, nullptr);
    ca_pem = cluster->ca().certificate_pem();
    identity =
        cluster->IssueClientCertificate(latchkey::AdminUser(), absl::Hours(1))
            .value();
    const auto created =
        ClientOf(*cluster, identity)->Create(NewSecret("kept"));
    ASSERT_THAT(created, IsOk());
    uid = created->metadata().uid();
  }

  const auto cluster = MustStart(Kept());

  ASSERT_NE(cluster, nullptr);
  EXPECT_EQ(cluster->ca().certificate_pem(), ca_pem);
  const auto got =
      ClientOf(*cluster, identity)->Get<Secret>({"kube-system", "kept"});
  ASSERT_THAT(got, IsOk());
  EXPECT_EQ(got->metadata().uid(), uid);
  // The port is another.
  const auto info =
      ClientOf(*cluster, {})->Get<ConfigMap>({"kube-public", "cluster-info"});
  ASSERT_THAT(info, IsOk());
  EXPECT_THAT(info->data().at("kubeconfig"), HasSubstr(cluster->url()));
}

TEST_F(DevClusterTest, WhatIsKeptIsForItsOwnerAlone) {
  ASSERT_NE(MustStart(Kept()), nullptr);

  EXPECT_EQ(ModeOf(dir_.File("data")), 0700U);
  EXPECT_EQ(ModeOf(dir_.File("data/ca.key")), 0600U);
  EXPECT_EQ(ModeOf(dir_.File("data/objects.db")), 0600U);
}

TEST_F(DevClusterTest, AFolderServesOneClusterAtATime) {
  const auto cluster = MustStart(Kept());
  ASSERT_NE(cluster, nullptr);

  EXPECT_THAT(DevCluster::Start(Kept(), clock_).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(DevClusterTest, AnAuthorityThatIsNoneIsNamed) {
  ASSERT_NE(MustStart(Kept()), nullptr);
  dir_.Write("data/ca.key", "not a key");

  EXPECT_THAT(
      DevCluster::Start(Kept(), clock_).status(),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("ca.key")));
}

TEST_F(DevClusterTest, ATakenPortIsNamed) {
  const auto cluster = MustStart();
  ASSERT_NE(cluster, nullptr);
  const int port =
      std::stoi(cluster->url().substr(cluster->url().rfind(':') + 1));

  EXPECT_THAT(
      DevCluster::Start({.port = static_cast<uint16_t>(port)}, clock_).status(),
      StatusIs(absl::StatusCode::kUnavailable,
               HasSubstr(std::to_string(port))));
}

}  // namespace
}  // namespace latchkey_testing
