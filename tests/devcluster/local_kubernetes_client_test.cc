#include "devcluster/local_kubernetes_client.h"

#include <gtest/gtest.h>

#include "devcluster/api_server.h"
#include "devcluster/object_store.h"
#include "tests/clients/kubernetes/kubernetes_client_contract.h"

namespace latchkey_testing {
namespace {

struct LocalServer {
  using Base = ::testing::Test;

  static LocalServer& Get() {
    static LocalServer server;
    return server;
  }
  static latchkey::KubernetesClient& Client() { return *Get().client; }
  static void ForgetHistory() { Get().store->ForgetHistory(); }
  static void ProvokeBookmarks() { Get().api.SendBookmarks(); }
  static void EndWatches() { Get().api.EndWatches(); }

  latchkey::SystemClock clock;
  std::unique_ptr<latchkey::ObjectStore> store =
      latchkey::MakeMemoryObjectStore();
  latchkey::ApiServer api{*store, clock};
  std::unique_ptr<latchkey::KubernetesClient> client =
      latchkey::MakeLocalKubernetesClient(api, latchkey::AdminUser());
};

INSTANTIATE_TYPED_TEST_SUITE_P(Local, KubernetesClientContract, LocalServer);

}  // namespace
}  // namespace latchkey_testing
