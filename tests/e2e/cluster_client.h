// A product client of a test's control plane.

#ifndef LATCHKEY_TESTS_E2E_CLUSTER_CLIENT_H_
#define LATCHKEY_TESTS_E2E_CLUSTER_CLIENT_H_

#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "clients/http/curl_http_client.h"
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

// What it speaks through, for requests that no KubernetesClient makes.
inline std::shared_ptr<latchkey::HttpClient> HttpOfKubeconfig(
    const std::string& path) {
  auto access = latchkey::FileApiAccess::Create({.kubeconfig_path = path},
                                                SystemClockOfTests());
  if (access.ok()) return (*access)->Current()->http;
  std::cerr << access.status() << "\n";
  return nullptr;
}

// The client over HTTP/2, which is not the product's choice
// (curl_http_client.h).
inline std::unique_ptr<latchkey::KubernetesClient> Http2ClientOfKubeconfig(
    const std::string& path) {
  auto access = latchkey::FileApiAccess::Create(
      {.kubeconfig_path = path,
       .make_client = [](const latchkey::ApiCredentials& credentials)
           -> absl::StatusOr<std::shared_ptr<latchkey::HttpClient>> {
         return latchkey::CurlHttpClient::Create(
             {.base_url = credentials.server,
              .ca_pem = credentials.ca_pem,
              .client_certificate_pem = credentials.client_certificate_pem,
              .client_key_pem = credentials.client_key_pem,
              .protocol = latchkey::CurlHttpClientOptions::Protocol::kHttp2});
       }},
      SystemClockOfTests());
  if (access.ok()) {
    return std::make_unique<latchkey::HttpKubernetesClient>(*std::move(access));
  }
  std::cerr << access.status() << "\n";
  return nullptr;
}

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_E2E_CLUSTER_CLIENT_H_
