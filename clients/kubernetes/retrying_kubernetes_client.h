// A KubernetesClient that tries again where that is safe.

#ifndef LATCHKEY_CLIENTS_KUBERNETES_RETRYING_KUBERNETES_CLIENT_H_
#define LATCHKEY_CLIENTS_KUBERNETES_RETRYING_KUBERNETES_CLIENT_H_

#include <functional>
#include <memory>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/kubernetes/kubernetes_client.h"

namespace latchkey {

// Any request is tried again if the server refused it for load (429), or never
// saw it. A read is also tried again if there was no answer, or 5xx. A write
// without an answer may have been done: that is passed up, for the caller to
// read and decide. Watches are passed through, since their users (Reflector)
// wait by themselves.
class RetryingKubernetesClient final : public KubernetesClient {
 public:
  struct Options {
    int max_attempts = 5;
    // No further attempt begins after this time.
    absl::Duration max_elapsed = absl::Seconds(20);
    // Waits are doubled from the first to the last, and are no less than what
    // the server asks for; up to half as much again is added at random, so that
    // many clients that were refused at once do not return at once.
    absl::Duration first_backoff = absl::Milliseconds(50);
    absl::Duration last_backoff = absl::Seconds(2);
    // Null: sleeps, and draws from [0, 1).
    std::function<void(absl::Duration)> sleep;
    std::function<double()> random;
  };

  // `inner` must outlive this.
  RetryingKubernetesClient(KubernetesClient& inner, Options options);

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
  enum class Kind { kRead, kWrite };
  absl::Status Retry(Kind kind, const std::function<absl::Status()>& request);

  KubernetesClient& inner_;
  Options options_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_KUBERNETES_RETRYING_KUBERNETES_CLIENT_H_
