// A Reflector keeps its owner told of every object of one kind: it lists, then
// watches, resumes a watch that ended, and lists again when the server has
// forgotten the version (410).

#ifndef LATCHKEY_CLIENTS_KUBERNETES_REFLECTOR_H_
#define LATCHKEY_CLIENTS_KUBERNETES_REFLECTOR_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "clients/kubernetes/kubernetes_client.h"

namespace latchkey {

// What the owner hears, all on the thread that runs Run(). Handlers must be
// quick and must not block: note the object, let other threads work on it.
template <typename Object>
struct ReflectorHandler {
  // All objects there are at `version`, after each list. What is not in it is
  // gone. A list after the first: changes since the last one were missed.
  std::function<void(std::vector<Object>, const std::string& version)> on_list;
  // Added or modified. Levels, not edges: several changes may arrive as one.
  std::function<void(Object)> on_change;
  // Deleted, in its last state; its resourceVersion is that of the deletion.
  std::function<void(Object)> on_delete;
  // Nothing else has happened up to `version`. May be empty.
  std::function<void(const std::string& version)> on_bookmark = nullptr;
  // What fresh() says from now on. May be empty.
  std::function<void(bool fresh)> on_fresh = nullptr;
};

// The untyped machinery; use Reflector below.
class ReflectorLoop {
 public:
  struct Options {
    std::string name_space;
    std::string label_selector;
    std::string field_selector;
    // Objects a page of the list.
    int64_t page_size = 100;
    // Waits between attempts after errors: doubled from the first to the last,
    // with up to as much again of jitter; a Retry-After is honoured.
    absl::Duration first_backoff = absl::Milliseconds(100);
    absl::Duration last_backoff = absl::Seconds(10);
    // How long one watch is asked to last; a new one goes on where it ended.
    absl::Duration watch_timeout = absl::Minutes(5);
  };
  struct Callbacks {
    std::function<std::unique_ptr<google::protobuf::Message>()> new_list;
    // Hands over one page; `first` starts a new list, `last` ends it. A list
    // that cannot be finished is followed by another `first`.
    std::function<void(google::protobuf::Message& list, bool first, bool last)>
        on_page;
    // With the version of its object.
    std::function<void(const RawWatchEvent&, const std::string& version)>
        on_event;
    std::function<void(bool fresh)> on_fresh = nullptr;
  };

  // `client` must outlive this, and should not be one that retries: its waits
  // would hold up Stop(), and this waits by itself.
  ReflectorLoop(KubernetesClient& client, const Resource& resource,
                Options options, Callbacks callbacks);
  ReflectorLoop(const ReflectorLoop&) = delete;
  ReflectorLoop& operator=(const ReflectorLoop&) = delete;
  ~ReflectorLoop();

  // Lists and watches until Stop(). Returns at once after Stop().
  void Run();
  // From any thread; wakes Run() wherever it waits.
  void Stop();

  // True while a list has been delivered and the watch since then is not
  // known to be behind: false before the first list and while the server
  // cannot be reached.
  bool fresh() const;

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

template <typename Object, typename ObjectList>
class Reflector {
 public:
  Reflector(KubernetesClient& client, ReflectorLoop::Options options,
            ReflectorHandler<Object> handler)
      : handler_(std::move(handler)),
        loop_(client, ResourceOf<Object>(), std::move(options),
              {.new_list = [] { return std::make_unique<ObjectList>(); },
               .on_page =
                   [this](google::protobuf::Message& list, bool first,
                          bool last) {
                     OnPage(static_cast<ObjectList&>(list), first, last);
                   },
               .on_event =
                   [this](const RawWatchEvent& event,
                          const std::string& version) {
                     OnEvent(event, version);
                   },
               .on_fresh = handler_.on_fresh}) {}

  void Run() { loop_.Run(); }
  void Stop() { loop_.Stop(); }
  bool fresh() const { return loop_.fresh(); }

 private:
  void OnPage(ObjectList& list, bool first, bool last) {
    if (first) page_.clear();
    for (auto& item : *list.mutable_items()) page_.push_back(std::move(item));
    if (last) {
      handler_.on_list(std::exchange(page_, {}),
                       list.metadata().resource_version());
    }
  }
  void OnEvent(const RawWatchEvent& event, const std::string& version) {
    if (event.type == WatchEventType::kBookmark) {
      if (handler_.on_bookmark != nullptr) handler_.on_bookmark(version);
      return;
    }
    Object object;
    if (!object.ParseFromString(event.object)) return;
    if (event.type == WatchEventType::kDeleted) {
      handler_.on_delete(std::move(object));
    } else {
      handler_.on_change(std::move(object));
    }
  }

  ReflectorHandler<Object> handler_;
  std::vector<Object> page_;  // of the list being read
  ReflectorLoop loop_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_KUBERNETES_REFLECTOR_H_
