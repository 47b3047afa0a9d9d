// A KubernetesClient over HTTP, in application/vnd.kubernetes.protobuf.

#ifndef LATCHKEY_CLIENTS_KUBERNETES_HTTP_KUBERNETES_CLIENT_H_
#define LATCHKEY_CLIENTS_KUBERNETES_HTTP_KUBERNETES_CLIENT_H_

#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/http/http_client.h"
#include "clients/kubernetes/api_access.h"
#include "clients/kubernetes/kubernetes_client.h"

namespace latchkey {

// Retries nothing, except once after a 401 that found newer credentials: a
// request that was not authenticated was not done.
class HttpKubernetesClient final : public KubernetesClient {
 public:
  struct Options {
    // Of each request; of a watch, until it is open. The API server gives a
    // write up after 34 s and a read after 60 s.
    absl::Duration request_timeout = absl::Seconds(40);
  };

  explicit HttpKubernetesClient(std::shared_ptr<ApiAccess> access)
      : HttpKubernetesClient(std::move(access), Options()) {}
  HttpKubernetesClient(std::shared_ptr<ApiAccess> access, Options options)
      : access_(std::move(access)), options_(options) {}

  absl::Status CreateObject(const Resource& resource,
                            std::string_view name_space,
                            const google::protobuf::Message& object,
                            google::protobuf::Message& result) override;
  absl::Status GetObject(const Resource& resource, const ObjectName& name,
                         google::protobuf::Message& result) override;
  absl::Status UpdateObject(const Resource& resource, const ObjectName& name,
                            std::string_view subresource,
                            const google::protobuf::Message& object,
                            google::protobuf::Message& result) override;
  absl::Status DeleteObject(const Resource& resource, const ObjectName& name,
                            const DeletePreconditions& expected) override;
  absl::Status ListObjects(const Resource& resource, const ListQuery& query,
                           google::protobuf::Message& list) override;
  absl::StatusOr<std::unique_ptr<WatchStream>> WatchObjects(
      const Resource& resource, const WatchQuery& query) override;

 private:
  HttpRequest NewRequest(std::string method, std::string target) const;
  // The body of a successful response.
  absl::StatusOr<std::string> Exchange(HttpRequest request,
                                       std::string_view what);

  const std::shared_ptr<ApiAccess> access_;
  const Options options_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_KUBERNETES_HTTP_KUBERNETES_CLIENT_H_
