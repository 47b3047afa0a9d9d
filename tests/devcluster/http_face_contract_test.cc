// The contract of Kubernetes clients over HTTP, against the embedded control
// plane.

#include <gmock/gmock.h>

#include "tests/clients/kubernetes/kubernetes_client_contract.h"
#include "tests/devcluster/served_cluster.h"

namespace latchkey_testing {
namespace {

class ServedClusterTest : public ::testing::Test {
 public:
  static inline std::unique_ptr<ServedCluster> cluster;
  static inline std::unique_ptr<latchkey::KubernetesClient> client;

 protected:
  void SetUp() override {
    cluster = std::make_unique<ServedCluster>();
    client = cluster->Client(cluster->Admin());
  }
  void TearDown() override {
    client.reset();
    cluster.reset();
  }
};

struct HttpFaceServer {
  using Base = ServedClusterTest;
  static latchkey::KubernetesClient& Client() { return *Base::client; }
  static void ForgetHistory() { Base::cluster->store().ForgetHistory(); }
  static void ProvokeBookmarks() { Base::cluster->api().SendBookmarks(); }
  static void EndWatches() { Base::cluster->api().EndWatches(); }
};

INSTANTIATE_TYPED_TEST_SUITE_P(HttpFace, KubernetesClientContract,
                               HttpFaceServer);

}  // namespace
}  // namespace latchkey_testing
