// The HTTPS face of an ApiServer: HTTP/1.1 over TLS with optional client
// certificates, objects in JSON or in protobuf as the client asks, watches as
// chunked responses, discovery, impersonation.
//
// A client certificate of a stranger does not end the handshake: what it asks
// for is answered with 401, as kube-apiserver does. Of Kubernetes' verbs, patch
// and deletecollection are not here (405), nor are dry runs (400), tables and
// YAML.
//
// Bounded throughout: head 32 KiB, body 3 MiB (64 KiB of who is not
// authenticated), open connections and the time that a request may take to
// arrive. What is larger is refused with a Status and the connection closed;
// what is too slow, or one connection too many, is closed only.

#ifndef LATCHKEY_DEVCLUSTER_HTTP_FACE_H_
#define LATCHKEY_DEVCLUSTER_HTTP_FACE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "core/secret_string.h"
#include "devcluster/api_server.h"

namespace latchkey {

struct HttpFaceOptions {
  // An IP address; port 0: any that is free.
  std::string address = "127.0.0.1";
  uint16_t port = 0;
  // PEM: what the server shows, and whose client certificates it believes.
  std::string certificate_pem;
  SecretString private_key_pem;
  std::string client_ca_pem;

  int threads = 2;
  // Fewer if they would take more than half of the descriptors that the process
  // may have when the face starts.
  int max_connections = 2000;
  // For a handshake, for a request to arrive once it has begun, and for an
  // answer, or what a watch has to tell, to be taken.
  absl::Duration read_timeout = absl::Seconds(30);

  // What a test makes of a request and its answer: nothing the programs set.
  // Called on the threads of the face.
  struct Fault {
    // Does the request all the same, though its answer is lost or another.
    bool apply = false;
    absl::Duration delay = absl::ZeroDuration();
    // Answers with this HTTP code in place of the real answer; 0: none.
    int code = 0;
    int retry_after_seconds = 0;
    // Of the answer, sends so many bytes and closes; nullopt: all.
    std::optional<size_t> cut_after;
  };
  std::function<Fault(std::string_view method, std::string_view target)>
      fault_hook;
};

// Serves from Start() until it is destroyed, which ends open watches.
class HttpFace {
 public:
  // `server` must outlive this. kUnavailable, naming the address: it is taken.
  // kInvalidArgument: an address or PEM that is none.
  static absl::StatusOr<std::unique_ptr<HttpFace>> Start(
      ApiServer& server, HttpFaceOptions options);
  ~HttpFace();

  uint16_t port() const;

 private:
  class Impl;
  explicit HttpFace(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_HTTP_FACE_H_
