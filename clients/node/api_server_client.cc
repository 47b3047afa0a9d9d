#include "clients/node/api_server_client.h"

#include <utility>
#include <variant>

#include "clients/http/curl_http_client.h"
#include "clients/kubernetes/http_kubernetes_client.h"
#include "core/status_macros.h"

namespace latchkey {

absl::StatusOr<std::unique_ptr<KubernetesClient>> MakeApiServerClient(
    const ApiServerLogin& login) {
  CurlHttpClientOptions options{.base_url = login.url,
                                .ca_pem = login.ca_pem,
                                .user_agent = "latchkey-join",
                                .connect_timeout = absl::Seconds(5),
                                .max_connections = 2};
  SecretString bearer_token;
  if (const auto* token = std::get_if<BootstrapToken>(&login.credential)) {
    bearer_token = token->Joined();
  } else {
    const auto& node = std::get<IssuedIdentity>(login.credential);
    options.client_certificate_pem = node.certificate_pem;
    options.client_key_pem = node.private_key_pem;
  }
  LATCHKEY_ASSIGN_OR_RETURN(std::unique_ptr<CurlHttpClient> http,
                            CurlHttpClient::Create(std::move(options)));
  auto access = std::make_shared<FixedApiAccess>(ApiSession{
      .http = std::move(http), .bearer_token = std::move(bearer_token)});
  return std::make_unique<HttpKubernetesClient>(
      std::move(access),
      // Shorter than the server's own patience: there may be another server.
      HttpKubernetesClient::Options{.request_timeout = absl::Seconds(20)});
}

}  // namespace latchkey
