// Product clients of a DevCluster, over HTTP.

#ifndef LATCHKEY_TESTS_DEVCLUSTER_DEV_CLUSTER_CLIENTS_H_
#define LATCHKEY_TESTS_DEVCLUSTER_DEV_CLUSTER_CLIENTS_H_

#include <memory>
#include <string>
#include <utility>

#include "clients/http/curl_http_client.h"
#include "clients/kubernetes/http_kubernetes_client.h"
#include "devcluster/dev_cluster.h"

namespace latchkey_testing {

// With a certificate, a token, both or neither.
inline std::unique_ptr<latchkey::KubernetesClient> ClientOf(
    const latchkey::DevCluster& cluster,
    const latchkey::IssuedIdentity& identity, const std::string& token = "") {
  auto http = latchkey::CurlHttpClient::Create(
      {.base_url = cluster.url(),
       .ca_pem = cluster.ca().certificate_pem(),
       .client_certificate_pem = identity.certificate_pem,
       .client_key_pem = identity.private_key_pem});
  return std::make_unique<latchkey::HttpKubernetesClient>(
      std::make_shared<latchkey::FixedApiAccess>(latchkey::ApiSession{
          *std::move(http), latchkey::SecretString(token)}));
}

inline std::unique_ptr<latchkey::KubernetesClient> AdminOf(
    const latchkey::DevCluster& cluster) {
  return ClientOf(
      cluster,
      cluster.IssueClientCertificate(latchkey::AdminUser(), absl::Hours(1))
          .value());
}

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_DEVCLUSTER_DEV_CLUSTER_CLIENTS_H_
