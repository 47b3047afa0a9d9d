// The objects of one kind, kept up to date by a list and a watch, without a
// thread: whoever owns it says when to look.

#ifndef LATCHKEY_DEVCLUSTER_WATCHED_OBJECTS_H_
#define LATCHKEY_DEVCLUSTER_WATCHED_OBJECTS_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include <absl/status/status.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "core/status_macros.h"

namespace latchkey {

// Objects are known by their names: those watched are of one namespace, or have
// none. Not safe for concurrent use.
template <typename Object, typename ObjectList>
class WatchedObjects {
 public:
  // `client` must outlive this. Namespace and selectors are taken from `what`.
  WatchedObjects(KubernetesClient& client, WatchQuery what)
      : client_(client), query_(std::move(what)) {}

  // Takes in what happened since the last call, without waiting for more.
  // Adds the names of objects that came, changed or went to `changed`. An error
  // is the API server's; the next call goes on.
  absl::Status Refresh(std::set<std::string>& changed) {
    if (watch_ == nullptr) LATCHKEY_RETURN_IF_ERROR(Begin(changed));
    while (true) {
      auto event = watch_->Next(absl::ZeroDuration());
      if (absl::IsDeadlineExceeded(event.status())) return absl::OkStatus();
      if (!event.ok()) {
        watch_ = nullptr;
        return Begin(changed);
      }
      Take(*event, changed);
    }
  }

  // Null if there is none.
  const Object* Find(const std::string& name) const {
    const auto found = objects_.find(name);
    return found == objects_.end() ? nullptr : &found->second;
  }
  const std::map<std::string, Object>& all() const { return objects_; }

 private:
  // Lists, and opens a watch from there.
  absl::Status Begin(std::set<std::string>& changed) {
    ObjectList list;
    LATCHKEY_RETURN_IF_ERROR(
        client_.ListObjects(ResourceOf<Object>(),
                            {.name_space = query_.name_space,
                             .label_selector = query_.label_selector,
                             .field_selector = query_.field_selector},
                            list));
    for (const auto& [name, object] : objects_) changed.insert(name);
    objects_.clear();
    for (Object& object : *list.mutable_items()) {
      const std::string& name = object.metadata().name();
      changed.insert(name);
      objects_.insert_or_assign(name, std::move(object));
    }
    query_.resource_version = list.metadata().resource_version();
    LATCHKEY_ASSIGN_OR_RETURN(
        watch_, client_.WatchObjects(ResourceOf<Object>(), query_));
    return absl::OkStatus();
  }

  void Take(const RawWatchEvent& event, std::set<std::string>& changed) {
    Object object;
    if (event.type == WatchEventType::kBookmark ||
        !object.ParseFromString(event.object)) {
      return;
    }
    const std::string name = object.metadata().name();
    changed.insert(name);
    if (event.type == WatchEventType::kDeleted) {
      objects_.erase(name);
    } else {
      objects_.insert_or_assign(name, std::move(object));
    }
  }

  KubernetesClient& client_;
  WatchQuery query_;
  std::unique_ptr<WatchStream> watch_;
  std::map<std::string, Object> objects_;
};

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_WATCHED_OBJECTS_H_
