// The real control plane, which decides what the contract of Kubernetes is.

#include <signal.h>

#include <fstream>
#include <stdexcept>

#include <fmt/format.h>

#include "clients/http/curl_http_client.h"
#include "clients/kubernetes/http_kubernetes_client.h"
#include "tests/devcluster/kubernetes_contract.h"
#include "tests/testing/control_plane.h"

namespace latchkey_testing {
namespace {

constexpr char kPost[] =
    "import sys, urllib.request as u; "
    "u.urlopen(sys.argv[1], sys.argv[2].encode(), 30).read()";

class RealCluster final : public ClusterUnderTest {
 public:
  explicit RealCluster(ControlPlane& plane)
      : plane_(plane),
        ca_pem_(ReadFile(plane.Path("pki/ca.crt"))),
        ca_(latchkey::CertificateAuthority::Load(
                ca_pem_, ReadFile(plane.Path("pki/ca.key")))
                .value()),
        admin_(Client({.certificate_pem = ReadFile(plane.Path("pki/admin.crt")),
                       .private_key_pem = latchkey::SecretString(
                           ReadFile(plane.Path("pki/admin.key")))},
                      "")) {
    const ProgramResult roles = plane.Run(
        {"kubectl", "apply", "-f",
         std::string(LATCHKEY_SOURCE_DIR) + "/deploy/kubernetes/rbac.yaml"});
    if (roles.exit_code != 0) throw std::runtime_error(roles.err);
  }

  KubernetesClient& Admin() override { return *admin_; }
  std::unique_ptr<KubernetesClient> WithToken(
      const std::string& bearer_token) override {
    return Client({}, bearer_token);
  }
  std::unique_ptr<KubernetesClient> WithCertificate(
      const latchkey::IssuedIdentity& identity) override {
    return Client(identity, "");
  }
  std::unique_ptr<KubernetesClient> Anonymous() override {
    return Client({}, "");
  }
  const latchkey::CertificateAuthority& ca() override { return ca_; }

  // etcd forgets by compaction, and the API server by starting anew.
  void ForgetHistory() override {
    const auto list = admin_->List<SecretList>({.limit = 1});
    ASSERT_THAT(list, IsOk());
    const ProgramResult compacted = RunProgram(
        {"python3", "-c", kPost,
         fmt::format("http://127.0.0.1:{}/v3/kv/compaction", EtcdPort()),
         fmt::format("{{\"revision\":\"{}\"}}",
                     list->metadata().resource_version())},
        {});
    ASSERT_EQ(compacted.exit_code, 0) << compacted.err;
    ASSERT_THAT(plane_.Kill("kube-apiserver", SIGKILL), IsOk());
    ASSERT_THAT(plane_.AwaitReady(), IsOk());
  }

 private:
  std::unique_ptr<KubernetesClient> Client(
      const latchkey::IssuedIdentity& identity, const std::string& token) {
    auto http = latchkey::CurlHttpClient::Create(
        {.base_url = plane_.url(),
         .ca_pem = ca_pem_,
         .client_certificate_pem = identity.certificate_pem,
         .client_key_pem = identity.private_key_pem});
    if (!http.ok()) throw std::runtime_error(http.status().ToString());
    return std::make_unique<latchkey::HttpKubernetesClient>(
        std::make_shared<latchkey::FixedApiAccess>(latchkey::ApiSession{
            *std::move(http), latchkey::SecretString(token)}));
  }

  int EtcdPort() const {
    std::ifstream file(plane_.Path("ports"));
    std::string name;
    for (int port = 0; file >> name >> port;) {
      if (name == "etcd-client") return port;
    }
    return 0;
  }

  ControlPlane& plane_;
  const std::string ca_pem_;
  const latchkey::CertificateAuthority ca_;
  const std::unique_ptr<KubernetesClient> admin_;
};

void OpenReal(ClusterUnderTest*& cluster) {
  ControlPlane* plane = nullptr;
  UseControlPlane({}, plane);
  if (plane == nullptr) return;
  static RealCluster real(*plane);
  cluster = &real;
}

INSTANTIATE_TEST_SUITE_P(Real, KubernetesContract,
                         ::testing::Values(ClusterKind{"Real", OpenReal}),
                         ::testing::PrintToStringParamName());

}  // namespace
}  // namespace latchkey_testing
