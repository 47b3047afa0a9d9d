// The contract of Kubernetes clients against the real API server, and what only
// the real one can show.

#include <signal.h>

#include <gmock/gmock.h>

#include "clients/kubernetes/envelope.h"
#include "tests/clients/kubernetes/kubernetes_client_contract.h"
#include "tests/e2e/cluster_client.h"
#include "tests/testing/control_plane.h"

namespace latchkey_testing {
namespace {

class RealClusterTest : public ControlPlaneTest {
 protected:
  void SetUp() override {
    ControlPlaneTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    control_plane = &cluster();
    client = ClientOfKubeconfig(cluster().admin_kubeconfig());
    ASSERT_NE(client, nullptr);
  }

 public:
  static inline ControlPlane* control_plane = nullptr;
  static inline std::unique_ptr<latchkey::KubernetesClient> client;
};

struct RealServer {
  using Base = RealClusterTest;
  static latchkey::KubernetesClient& Client() { return *Base::client; }
  // An API server remembers what it has seen since its start.
  static void ForgetHistory() {
    EXPECT_THAT(Base::control_plane->Kill("kube-apiserver", SIGKILL), IsOk());
    EXPECT_THAT(Base::control_plane->AwaitReady(), IsOk());
  }
  static void ProvokeBookmarks() {}
  static void EndWatches() {}
};

INSTANTIATE_TYPED_TEST_SUITE_P(Real, KubernetesClientContract, RealServer);

}  // namespace
}  // namespace latchkey_testing
