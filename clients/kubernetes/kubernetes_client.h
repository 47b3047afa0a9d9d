// A KubernetesClient speaks to one Kubernetes API server in typed objects.
//
// All implementations are safe for concurrent use from many threads, and pass
// tests/clients/kubernetes/kubernetes_client_contract.h.
//
// Errors, for every verb:
//   kInvalidArgument   400, 422: the server refused the object
//   kUnauthenticated   401      kPermissionDenied  403
//   kNotFound          404      kAlreadyExists     409 AlreadyExists
//   kAborted           409 Conflict: a precondition or resourceVersion is stale
//   kOutOfRange        410; 504 of a version not reached yet: list again
//   kResourceExhausted 429, with RetryAfterOf() where the server said when
//   kUnimplemented     405, 406, 415, 501: this server does not do that
//   kUnavailable, kDeadlineExceeded, kInternal, kCancelled: no answer, or 5xx,
//   or 404 without a Status, but of a create. A write may have been done or not
//   (OutcomeIsUnknown); only reading tells.
//
// A write is sent at most once; an answer to it is the answer to it. Names that
// cannot be part of a path are refused unsent, with kInvalidArgument.
// Messages name the verb, the resource and the object, never its content.

#ifndef LATCHKEY_CLIENTS_KUBERNETES_KUBERNETES_CLIENT_H_
#define LATCHKEY_CLIENTS_KUBERNETES_KUBERNETES_CLIENT_H_

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <google/protobuf/message.h>

#include "clients/kubernetes/resource.h"
#include "core/status_macros.h"

namespace latchkey {

// Which object: `name_space` is empty for cluster-scoped resources.
struct ObjectName {
  std::string name_space;
  std::string name;
};

// What must be true of the object for a DELETE to be done; empty: not asserted.
struct DeletePreconditions {
  std::string uid;
  std::string resource_version;
};

struct ListQuery {
  std::string name_space;
  std::string label_selector;
  std::string field_selector;
  // Objects a page; 0: all in one answer.
  int64_t limit = 0;
  // From the metadata of the page before; empty: the first page.
  std::string continue_token;
  // Stopping it ends the wait for the answer with kCancelled.
  std::stop_token stop = {};
};

struct WatchQuery {
  std::string name_space;
  std::string label_selector;
  std::string field_selector;
  // Changes after this version. Required: list first (see Reflector).
  std::string resource_version;
  // The server ends the watch after this time; if it does not, the stream ends
  // soon after.
  absl::Duration timeout = absl::Minutes(5);
  // Stopping it ends the wait for the watch to open with kCancelled.
  std::stop_token stop = {};
};

enum class WatchEventType { kAdded, kModified, kDeleted, kBookmark };

// One frame of a watch; `object` is the encoded message of the watched type.
struct RawWatchEvent {
  WatchEventType type = WatchEventType::kBookmark;
  std::string object;
};

// An open watch. Next() is for one thread at a time; Cancel() for any.
class WatchStream {
 public:
  WatchStream() = default;
  WatchStream(const WatchStream&) = delete;
  WatchStream& operator=(const WatchStream&) = delete;
  virtual ~WatchStream() = default;

  // The next event, waited for up to `timeout` (then kDeadlineExceeded; call
  // again). kOutOfRange: the version is too old, list again. kUnavailable: the
  // watch ended, for whatever reason; open another from the last version seen.
  // kCancelled: after Cancel().
  virtual absl::StatusOr<RawWatchEvent> Next(absl::Duration timeout) = 0;
  virtual void Cancel() = 0;
};

class KubernetesClient {
 public:
  KubernetesClient() = default;
  KubernetesClient(const KubernetesClient&) = delete;
  KubernetesClient& operator=(const KubernetesClient&) = delete;
  virtual ~KubernetesClient() = default;

  // The verbs, over any message type of `resource`. `result` receives the
  // object as the server stored it. Prefer the typed forms below.
  virtual absl::Status CreateObject(const Resource& resource,
                                    std::string_view name_space,
                                    const google::protobuf::Message& object,
                                    google::protobuf::Message& result) = 0;
  virtual absl::Status GetObject(const Resource& resource,
                                 const ObjectName& name,
                                 google::protobuf::Message& result) = 0;
  // A PUT. A resourceVersion in the object's metadata makes it conditional; all
  // of Latchkey's own updates are. `subresource` may be empty.
  virtual absl::Status UpdateObject(const Resource& resource,
                                    const ObjectName& name,
                                    std::string_view subresource,
                                    const google::protobuf::Message& object,
                                    google::protobuf::Message& result) = 0;
  virtual absl::Status DeleteObject(const Resource& resource,
                                    const ObjectName& name,
                                    const DeletePreconditions& expected) = 0;
  virtual absl::Status ListObjects(const Resource& resource,
                                   const ListQuery& query,
                                   google::protobuf::Message& list) = 0;
  virtual absl::StatusOr<std::unique_ptr<WatchStream>> WatchObjects(
      const Resource& resource, const WatchQuery& query) = 0;

  // Typed forms, e.g. client.Get<kubernetes::Secret>({"kube-system", name}).
  // `List` takes the list type, e.g. kubernetes::SecretList.
  template <typename Object>
  absl::StatusOr<Object> Create(const Object& object) {
    Object result;
    LATCHKEY_RETURN_IF_ERROR(CreateObject(
        ResourceOf<Object>(), object.metadata().namespace_(), object, result));
    return result;
  }
  template <typename Object>
  absl::StatusOr<Object> Get(const ObjectName& name) {
    Object result;
    LATCHKEY_RETURN_IF_ERROR(GetObject(ResourceOf<Object>(), name, result));
    return result;
  }
  template <typename Object>
  absl::StatusOr<Object> Update(const Object& object,
                                std::string_view subresource = "") {
    Object result;
    LATCHKEY_RETURN_IF_ERROR(
        UpdateObject(ResourceOf<Object>(),
                     {object.metadata().namespace_(), object.metadata().name()},
                     subresource, object, result));
    return result;
  }
  template <typename Object>
  absl::Status Delete(const ObjectName& name,
                      const DeletePreconditions& expected = {}) {
    return DeleteObject(ResourceOf<Object>(), name, expected);
  }
  template <typename ObjectList>
  absl::StatusOr<ObjectList> List(const ListQuery& query) {
    ObjectList result;
    LATCHKEY_RETURN_IF_ERROR(
        ListObjects(ResourceOf<ObjectList>(), query, result));
    return result;
  }
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_KUBERNETES_KUBERNETES_CLIENT_H_
