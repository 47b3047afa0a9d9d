// An HttpClient sends HTTPS requests to one server.
//
// All implementations are safe for concurrent use from many threads, and pass
// tests/clients/http/http_client_test.cc.

#ifndef LATCHKEY_CLIENTS_HTTP_HTTP_CLIENT_H_
#define LATCHKEY_CLIENTS_HTTP_HTTP_CLIENT_H_

#include <cstddef>
#include <map>
#include <memory>
#include <stop_token>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "core/secret_string.h"

namespace latchkey {

struct HttpRequest {
  std::string method = "GET";
  // Path and query, already escaped, beginning with '/'.
  std::string target;
  // Names in lower case.
  std::map<std::string, std::string> headers;
  // Sent as "authorization: Bearer …"; empty: no such header. Never logged.
  SecretString bearer_token;
  std::string body;
  // The whole exchange, connecting included, must end within this time; for a
  // stream, the arrival of the response headers.
  absl::Duration timeout = absl::Seconds(30);
  // A longer response body ends the exchange with kResourceExhausted. Not for
  // streams, whose reader bounds what it keeps.
  size_t max_response_bytes = 16 << 20;
  // Stopping it ends the wait for the response with kCancelled.
  std::stop_token stop = {};
  // Make a new connection for it, and tell what the server showed there. Of
  // Send() only.
  bool report_server_certificates = false;
};

struct HttpResponse {
  int status = 0;
  // Names in lower case; of a repeated header, the last.
  std::map<std::string, std::string> headers;
  std::string body;
  // If it was asked for: the chain that the server showed, in PEM, its own
  // certificate first. Verified, as of every server that is spoken to.
  std::string server_certificates_pem;
};

// A response whose body arrives over time.
//
// Read() is for one thread at a time; Cancel() may be called from any.
// Destroying the stream ends the exchange.
class HttpStream {
 public:
  HttpStream() = default;
  HttpStream(const HttpStream&) = delete;
  HttpStream& operator=(const HttpStream&) = delete;
  virtual ~HttpStream() = default;

  // Status and headers; the body is empty.
  virtual const HttpResponse& head() const = 0;

  // The bytes that arrived since the last call, at least one. Waits for them up
  // to `timeout`, then kDeadlineExceeded, after which Read() may be called
  // again. kOutOfRange at the end of the body; kUnavailable if the connection
  // broke; kCancelled after Cancel().
  virtual absl::StatusOr<std::string> Read(absl::Duration timeout) = 0;

  // Wakes a waiting Read() and makes all later ones fail.
  virtual void Cancel() = 0;
};

class HttpClient {
 public:
  HttpClient() = default;
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  virtual ~HttpClient() = default;

  // Sends `request` and waits for the response. A response of any status is a
  // success here. No redirect is followed.
  //
  // kUnavailable: no connection, TLS failure, connection lost: whether the
  // server acted on the request is unknown unless WasNotSent() (http_status.h).
  // kDeadlineExceeded: the same after `timeout`; kCancelled: the same after
  // `stop`. kResourceExhausted: the head or the body is larger than allowed.
  // A request other than GET and HEAD reaches the server at most once.
  virtual absl::StatusOr<HttpResponse> Send(const HttpRequest& request) = 0;

  // Sends `request`, waits for the response headers, and leaves the body to be
  // read. A reader that is slow holds up its own stream only.
  virtual absl::StatusOr<std::unique_ptr<HttpStream>> OpenStream(
      const HttpRequest& request) = 0;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_HTTP_HTTP_CLIENT_H_
