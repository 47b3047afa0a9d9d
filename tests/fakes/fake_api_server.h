// The state behind FakeKubernetesClient: objects, their history, watches.

#ifndef LATCHKEY_TESTS_FAKES_FAKE_API_SERVER_H_
#define LATCHKEY_TESTS_FAKES_FAKE_API_SERVER_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <google/protobuf/message.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "core/clock.h"
#include "core/mutex.h"
#include "tests/fakes/selectors.h"

namespace latchkey_testing {

// Safe for concurrent use.
class FakeApiServer {
 public:
  using Message = google::protobuf::Message;
  using StoredObject = std::shared_ptr<const Message>;

  explicit FakeApiServer(const latchkey::Clock& clock) : clock_(clock) {}

  // The verbs; `result` may be null where nobody is to hear the answer.
  absl::Status Create(const latchkey::Resource& resource,
                      std::string_view name_space, const Message& object,
                      Message* result);
  absl::Status Get(const latchkey::Resource& resource,
                   const latchkey::ObjectName& name, Message& result);
  absl::Status Update(const latchkey::Resource& resource,
                      const latchkey::ObjectName& name,
                      std::string_view subresource, const Message& object,
                      Message* result);
  absl::Status Delete(const latchkey::Resource& resource,
                      const latchkey::ObjectName& name,
                      const latchkey::DeletePreconditions& expected);
  absl::Status List(const latchkey::Resource& resource,
                    const latchkey::ListQuery& query, Message& list);

  // Where a watch stands.
  struct Watch {
    std::string plural;
    std::string name_space;
    Selectors selectors;
    int64_t version = 0;     // all up to here was seen
    int generation = 0;      // of EndWatches()
    int bookmarks_seen = 0;  // of SendBookmarks()
    bool cancelled = false;
  };
  absl::StatusOr<std::shared_ptr<Watch>> OpenWatch(
      const latchkey::Resource& resource, const latchkey::WatchQuery& query);
  absl::StatusOr<latchkey::RawWatchEvent> NextEvent(Watch& watch,
                                                    absl::Duration timeout);
  void CancelWatch(Watch& watch);
  void CloseWatch();

  void ForgetHistory();
  void EndWatches();
  void SendBookmarks();
  int OpenWatches() const;

 private:
  using Key = std::tuple<std::string, std::string, std::string>;
  struct Change {
    int64_t version = 0;
    std::string plural;
    std::string name_space;
    StoredObject before;  // null: created
    StoredObject after;   // null: deleted
  };

  StoredObject Find(const Key& key) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Stores `object` under the next version and tells the watches.
  StoredObject Store(const Key& key, std::unique_ptr<Message> object)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<latchkey::RawWatchEvent> Advance(Watch& watch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<latchkey::RawWatchEvent> EventFor(const Watch& watch,
                                                  const Change& change) const;
  absl::Status EndOf(const Watch& watch) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const latchkey::Clock& clock_;
  mutable latchkey::Mutex mutex_;
  latchkey::CondVar changed_;
  std::map<Key, StoredObject> objects_ ABSL_GUARDED_BY(mutex_);
  std::deque<Change> history_ ABSL_GUARDED_BY(mutex_);
  int64_t version_ ABSL_GUARDED_BY(mutex_) = 1000;
  int64_t forgotten_ ABSL_GUARDED_BY(mutex_) = 0;  // up to and with this
  int64_t names_made_ ABSL_GUARDED_BY(mutex_) = 0;
  int generation_ ABSL_GUARDED_BY(mutex_) = 0;
  int bookmarks_ ABSL_GUARDED_BY(mutex_) = 0;
  int open_watches_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_FAKES_FAKE_API_SERVER_H_
