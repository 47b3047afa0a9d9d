// A product client of a test's control plane.

#ifndef LATCHKEY_TESTS_E2E_CLUSTER_CLIENT_H_
#define LATCHKEY_TESTS_E2E_CLUSTER_CLIENT_H_

#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "clients/kubernetes/file_api_access.h"
#include "clients/kubernetes/http_kubernetes_client.h"
#include "core/clock.h"

namespace latchkey_testing {

inline const latchkey::Clock& SystemClockOfTests() {
  static const latchkey::SystemClock clock;
  return clock;
}

// Null, with the reason on standard error, if the kubeconfig is not usable.
inline std::unique_ptr<latchkey::KubernetesClient> ClientOfKubeconfig(
    const std::string& path,
    const latchkey::Clock& clock = SystemClockOfTests()) {
  auto access =
      latchkey::FileApiAccess::Create({.kubeconfig_path = path}, clock);
  if (access.ok()) {
    return std::make_unique<latchkey::HttpKubernetesClient>(*std::move(access));
  }
  std::cerr << access.status() << "\n";
  return nullptr;
}

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_E2E_CLUSTER_CLIENT_H_
