// What the HTTP face does with a request, from its head and body to the answer.
// No sockets here.

#ifndef LATCHKEY_DEVCLUSTER_REQUEST_HANDLER_H_
#define LATCHKEY_DEVCLUSTER_REQUEST_HANDLER_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "devcluster/api_server.h"
#include "devcluster/caller.h"
#include "devcluster/media_type.h"
#include "devcluster/request_target.h"
#include "devcluster/watch_body.h"

namespace latchkey {

struct HttpQuestion {
  std::string_view method;
  std::string_view target;
  // Headers, empty if they are not there.
  std::string_view accept;
  std::string_view content_type;
  std::string_view authorization;
  Impersonation impersonation;
  std::string_view body;
  const ClientCertificate& certificate;
  // WatchOptions::listener, if it becomes a watch.
  std::function<void()> on_change;
};

struct HttpAnswer {
  int code = 200;
  std::string_view content_type;
  std::string body;
  int retry_after_seconds = 0;
  // Follows `body`, which is empty then.
  std::unique_ptr<WatchBody> watch;
};

// Safe for concurrent use.
class RequestHandler {
 public:
  // `server` must outlive this and the answers.
  explicit RequestHandler(ApiServer& server) : server_(server) {}

  // Whether it is somebody: neither anonymous nor unauthorized.
  bool Knows(const ClientCertificate& certificate,
             std::string_view authorization) const;

  // Always answers; errors are Statuses in an encoding that the client accepts.
  HttpAnswer Handle(const HttpQuestion& question) const;

  // The answer to a request that cannot be read: `reason` is one of
  // metav1.StatusReason.
  static HttpAnswer Refuse(int code, std::string_view reason,
                           std::string_view message, std::string_view accept);

 private:
  ApiServer& server_;
};

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_REQUEST_HANDLER_H_
