// The API of the embedded control plane, in typed objects: what kube-apiserver
// does with a request once it has read it. It has no sockets, no threads and no
// clock of its own. Two faces serve it: HttpFace over TLS, and
// LocalKubernetesClient in the same process.
//
// Errors are those that a KubernetesClient reports (kubernetes_client.h). Each
// carries the whole metav1.Status as well (api_error.h), for the HTTP face to
// send.
//
// Every verb asks the authorizer first, so that what a caller may not do is
// kPermissionDenied whether the object exists or not.

#ifndef LATCHKEY_DEVCLUSTER_API_SERVER_H_
#define LATCHKEY_DEVCLUSTER_API_SERVER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <google/protobuf/message.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "core/clock.h"
#include "devcluster/object_store.h"
#include "devcluster/user.h"

namespace latchkey {

// A page of a list, at one revision.
struct ObjectPage {
  std::vector<StoredObject> items;
  std::string resource_version;
  // For the next page; empty: this is the last.
  std::string continue_token;
  // How many objects follow this page; 0 with selectors, as nobody counted.
  int64_t remaining = 0;
};

// One change as a watch shows it. A bookmark's object has a resourceVersion and
// nothing else.
struct WatchedChange {
  WatchEventType type = WatchEventType::kBookmark;
  StoredObject object;
};

// An open watch. Never blocks, and keeps no queue of its own: what it has not
// read yet is in the history of the store, and a reader that falls behind the
// history gets kOutOfRange. For one thread at a time.
class ApiWatch {
 public:
  ApiWatch() = default;
  ApiWatch(const ApiWatch&) = delete;
  ApiWatch& operator=(const ApiWatch&) = delete;
  virtual ~ApiWatch() = default;

  // The next change; nullopt: nothing for now, and the listener will be called
  // when there may be more. kOutOfRange: read too slowly, list again.
  // kUnavailable: the watch has ended (timeout, or EndWatches()).
  virtual absl::StatusOr<std::optional<WatchedChange>> Poll() = 0;
};

// Safe for concurrent use.
class ApiServer {
 public:
  struct Options {
    // Tokens of kubeadm's default group pass the SubjectAccessReview of the
    // stock approver.
    bool stock_approver = false;
    // So many random bytes, for UIDs and generated names; null: OpenSSL's.
    std::function<std::string(size_t count)> random_bytes;
  };

  // `store` and `clock` must outlive this.
  ApiServer(ObjectStore& store, const Clock& clock)
      : ApiServer(store, clock, Options()) {}
  ApiServer(ObjectStore& store, const Clock& clock, Options options);
  ~ApiServer();

  // By its clock.
  absl::Time Now() const;

  // The user of a bearer token; kUnauthenticated for every token that is not a
  // good bootstrap token, with no reason why.
  absl::StatusOr<User> AuthenticateToken(std::string_view token) const;

  // The verbs. `name` and preconditions as in KubernetesClient; the answer is
  // the object as it was stored, and of a review as it was answered.
  absl::StatusOr<StoredObject> Create(const User& user,
                                      const Resource& resource,
                                      std::string_view name_space,
                                      const google::protobuf::Message& object);
  // Of a subresource, the answer is the whole object all the same; but it takes
  // the right to that subresource.
  absl::StatusOr<StoredObject> Get(const User& user, const Resource& resource,
                                   const ObjectName& name,
                                   std::string_view subresource = "") const;
  absl::StatusOr<StoredObject> Update(const User& user,
                                      const Resource& resource,
                                      const ObjectName& name,
                                      std::string_view subresource,
                                      const google::protobuf::Message& object);
  // The answer is the object that was deleted, or, if finalizers hold it, that
  // is being deleted.
  absl::StatusOr<StoredObject> Delete(const User& user,
                                      const Resource& resource,
                                      const ObjectName& name,
                                      const DeletePreconditions& expected);
  absl::StatusOr<ObjectPage> List(const User& user, const Resource& resource,
                                  const ListQuery& query) const;

  struct WatchOptions {
    // An empty resource_version, or "0", begins with what there is, each object
    // as kAdded.
    WatchQuery query;
    // Send bookmarks, as clients ask with allowWatchBookmarks.
    bool bookmarks = true;
    // Begin with what there is, whatever the version, and send a bookmark with
    // the annotation "k8s.io/initial-events-end" after that (clients ask with
    // sendInitialEvents).
    bool initial_events = false;
    // Called whenever Poll() may have something new (but the first time, Poll()
    // as soon as the watch is open), on the thread of whoever
    // changed it, under no lock; must be quick and must not call back. Not
    // called any more once the ApiWatch is destroyed.
    std::function<void()> listener;
  };
  absl::StatusOr<std::unique_ptr<ApiWatch>> Watch(const User& user,
                                                  const Resource& resource,
                                                  WatchOptions options);

  // Whether `user` may `verb` the resource, as a SubjectAccessReview would say.
  bool MayAccess(const User& user, std::string_view verb,
                 const Resource& resource, std::string_view subresource,
                 const ObjectName& name) const;
  // The same of a path that is no resource, such as "/version".
  bool MayAccessPath(const User& user, std::string_view verb,
                     std::string_view path) const;

  // That of the store.
  absl::Status Health() const;

  // Sends a bookmark with the current version to every watch that wants them.
  void SendBookmarks();
  // Ends all open watches, as a server that shuts down does.
  void EndWatches();

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_API_SERVER_H_
