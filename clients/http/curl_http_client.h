// An HttpClient over libcurl: one thread and kept connections.

#ifndef LATCHKEY_CLIENTS_HTTP_CURL_HTTP_CLIENT_H_
#define LATCHKEY_CLIENTS_HTTP_CURL_HTTP_CLIENT_H_

#include <memory>
#include <string>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/http/http_client.h"
#include "core/secret_string.h"

namespace latchkey {

struct CurlHttpClientOptions {
  // "https://host[:port][/path]"; a request's target is appended to it.
  std::string base_url;
  // The certificates that the server may be signed by, in PEM, and no others.
  // Empty: those that the system trusts.
  std::string ca_pem;
  // What the client shows to the server; both or none.
  std::string client_certificate_pem;
  SecretString client_key_pem;
  // The name that the server's certificate must have; empty: the URL's host.
  std::string tls_server_name;

  std::string user_agent = "latchkey";
  absl::Duration connect_timeout = absl::Seconds(10);
  // More requests than these can carry wait their turn.
  int max_connections = 192;
  // Take HTTPS_PROXY and NO_PROXY from the environment.
  bool proxy_from_environment = false;

  // With kHttp11 each request that is under way has a connection of its own,
  // kept for the next. With kHttp2 requests share one if the server agrees, and
  // streams still have their own: libcurl 7.88 stops reading a whole connection
  // while the reader of one of its streams is behind.
  //
  // kHttp2 is no default, because libcurl 7.88 may drop the body of a response
  // after which the server ends the connection (GOAWAY), as the API server does
  // after each 401: the answer, maybe to a write, is lost.
  enum class Protocol { kHttp11, kHttp2 };
  Protocol protocol = Protocol::kHttp11;
};

// Follows no redirects, keeps no cookies, raises no signals. The TLS identity
// is fixed: when files change, make a new client and let go of the old one.
class CurlHttpClient final : public HttpClient {
 public:
  // Connects to nobody yet. kInvalidArgument for a URL that is not https or has
  // a user, query or fragment, or for half an identity.
  static absl::StatusOr<std::unique_ptr<CurlHttpClient>> Create(
      CurlHttpClientOptions options);

  // No Send() or OpenStream() may be under way. Streams may live on.
  ~CurlHttpClient() override;

  absl::StatusOr<HttpResponse> Send(const HttpRequest& request) override;
  absl::StatusOr<std::unique_ptr<HttpStream>> OpenStream(
      const HttpRequest& request) override;

 private:
  struct State;
  explicit CurlHttpClient(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_HTTP_CURL_HTTP_CLIENT_H_
