#include "clients/kubernetes/retrying_kubernetes_client.h"

#include <algorithm>
#include <utility>

#include "clients/http/http_status.h"
#include "core/execution.h"
#include "core/refusal.h"

namespace latchkey {
namespace {

using ::google::protobuf::Message;

bool IsTransient(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsInternal(status);
}

}  // namespace

RetryingKubernetesClient::RetryingKubernetesClient(KubernetesClient& inner,
                                                   Options options)
    : inner_(inner), options_(std::move(options)) {
  if (options_.sleep == nullptr) options_.sleep = ExecutionSleep;
  if (options_.random == nullptr) options_.random = DrawFraction;
}

absl::Status RetryingKubernetesClient::Retry(
    Kind kind, const std::function<absl::Status()>& request) {
  absl::Duration backoff = options_.first_backoff;
  // Waits are counted as they are asked for: tests do not really sleep.
  absl::Duration waited = absl::ZeroDuration();
  const absl::Time begin = ExecutionNow();
  for (int attempt = 1;; ++attempt) {
    absl::Status status = request();
    const bool not_done = absl::IsResourceExhausted(status) ||
                          (absl::IsUnavailable(status) && WasNotSent(status));
    const bool again = not_done || (kind == Kind::kRead && IsTransient(status));
    if (!again || attempt >= options_.max_attempts) return status;

    const absl::Duration least =
        std::max(backoff, RetryAfterOf(status).value_or(absl::ZeroDuration()));
    const absl::Duration wait = least * (1 + options_.random() / 2);
    const absl::Duration elapsed = std::max(waited, ExecutionNow() - begin);
    if (elapsed + wait > options_.max_elapsed) return status;
    options_.sleep(wait);
    waited += wait;
    backoff = std::min(2 * backoff, options_.last_backoff);
  }
}

absl::Status RetryingKubernetesClient::CreateObject(const Resource& resource,
                                                    std::string_view name_space,
                                                    const Message& object,
                                                    Message& result) {
  return Retry(Kind::kWrite, [&] {
    return inner_.CreateObject(resource, name_space, object, result);
  });
}

absl::Status RetryingKubernetesClient::GetObject(const Resource& resource,
                                                 const ObjectName& name,
                                                 Message& result) {
  return Retry(Kind::kRead,
               [&] { return inner_.GetObject(resource, name, result); });
}

absl::Status RetryingKubernetesClient::UpdateObject(
    const Resource& resource, const ObjectName& name,
    std::string_view subresource, const Message& object, Message& result) {
  return Retry(Kind::kWrite, [&] {
    return inner_.UpdateObject(resource, name, subresource, object, result);
  });
}

absl::Status RetryingKubernetesClient::DeleteObject(
    const Resource& resource, const ObjectName& name,
    const DeletePreconditions& expected) {
  return Retry(Kind::kWrite,
               [&] { return inner_.DeleteObject(resource, name, expected); });
}

absl::Status RetryingKubernetesClient::ListObjects(const Resource& resource,
                                                   const ListQuery& query,
                                                   Message& list) {
  return Retry(Kind::kRead,
               [&] { return inner_.ListObjects(resource, query, list); });
}

absl::StatusOr<std::unique_ptr<WatchStream>>
RetryingKubernetesClient::WatchObjects(const Resource& resource,
                                       const WatchQuery& query) {
  return inner_.WatchObjects(resource, query);
}

}  // namespace latchkey
