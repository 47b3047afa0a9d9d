// The embedded control plane as a whole, over HTTP.

#include "core/clock.h"
#include "devcluster/dev_cluster.h"
#include "tests/devcluster/dev_cluster_clients.h"
#include "tests/devcluster/kubernetes_contract.h"

namespace latchkey_testing {
namespace {

class ServedCluster final : public ClusterUnderTest {
 public:
  KubernetesClient& Admin() override { return *admin_; }
  std::unique_ptr<KubernetesClient> WithToken(
      const std::string& bearer_token) override {
    return ClientOf(*cluster_, {}, bearer_token);
  }
  std::unique_ptr<KubernetesClient> WithCertificate(
      const latchkey::IssuedIdentity& identity) override {
    return ClientOf(*cluster_, identity);
  }
  std::unique_ptr<KubernetesClient> Anonymous() override {
    return ClientOf(*cluster_, {});
  }
  const latchkey::CertificateAuthority& ca() override { return cluster_->ca(); }
  void ForgetHistory() override { cluster_->store().ForgetHistory(); }

 private:
  const latchkey::SystemClock clock_;
  const std::unique_ptr<latchkey::DevCluster> cluster_ =
      latchkey::DevCluster::Start({}, clock_).value();
  const std::unique_ptr<KubernetesClient> admin_ = AdminOf(*cluster_);
};

void OpenServed(ClusterUnderTest*& cluster) {
  static ServedCluster served;
  cluster = &served;
}

INSTANTIATE_TEST_SUITE_P(Served, KubernetesContract,
                         ::testing::Values(ClusterKind{"Served", OpenServed}),
                         ::testing::PrintToStringParamName());

}  // namespace
}  // namespace latchkey_testing
