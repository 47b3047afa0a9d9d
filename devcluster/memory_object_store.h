// An ObjectStore in memory. With an ObjectJournal behind it, it is the readable
// half of one that lasts.

#ifndef LATCHKEY_DEVCLUSTER_MEMORY_OBJECT_STORE_H_
#define LATCHKEY_DEVCLUSTER_MEMORY_OBJECT_STORE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "core/mutex.h"
#include "devcluster/listeners.h"
#include "devcluster/object_store.h"

namespace latchkey {

// Where writes are made to last. For one thread at a time.
class ObjectJournal {
 public:
  ObjectJournal() = default;
  ObjectJournal(const ObjectJournal&) = delete;
  ObjectJournal& operator=(const ObjectJournal&) = delete;
  virtual ~ObjectJournal() = default;

  // Returns once it is certain that the object will be found as it is in
  // `change.after` after a crash. kUnavailable: it will be found as it was.
  // After any other error nobody knows, and every later call fails too.
  virtual absl::Status Record(const StoreChange& change) = 0;
  // Not OK after such an error. For any thread.
  virtual absl::Status Health() const = 0;
};

class MemoryObjectStore final : public ObjectStore {
 public:
  struct Key {
    std::string plural;
    std::string name_space;
    std::string name;
    auto operator<=>(const Key&) const = default;
  };
  struct Content {
    // Before the first write; etcd too begins with 1.
    int64_t revision = 1;
    std::map<Key, StoredObject> objects = {};
  };

  // `journal` may be null. History begins with `content`.
  MemoryObjectStore(const Options& options, Content content,
                    std::unique_ptr<ObjectJournal> journal);

  int64_t Revision() const override;
  StoredObject Find(const Resource& resource,
                    const ObjectName& name) const override;
  absl::StatusOr<StoredObject> Write(
      const Resource& resource, const ObjectName& name,
      const StoredObject& expected,
      std::unique_ptr<google::protobuf::Message> object) override;
  absl::StatusOr<std::vector<StoredObject>> Snapshot(
      const Resource& resource, std::string_view name_space,
      int64_t& revision) const override;
  absl::StatusOr<std::vector<StoreChange>> ChangesAfter(
      int64_t revision, size_t limit) const override;
  std::shared_ptr<void> Listen(std::function<void()> listener) override;
  absl::Status Health() const override;
  void ForgetHistory() override;

 private:
  // Whether there is room for `after` in place of `before`; both may be null.
  absl::Status CheckRoom(const StoredObject& before,
                         const StoredObject& after) const;
  // Makes the change that the journal has.
  void Apply(StoreChange change);
  void Remember(StoreChange change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckKnown(int64_t revision) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const std::unique_ptr<ObjectJournal> journal_;

  // Held through a whole write, so that the journal's slow disk holds up
  // writers only. Taken before mutex_.
  Mutex write_mutex_;
  mutable Mutex mutex_;
  int64_t revision_ ABSL_GUARDED_BY(mutex_);
  std::map<Key, StoredObject> objects_ ABSL_GUARDED_BY(mutex_);
  std::deque<StoreChange> history_ ABSL_GUARDED_BY(mutex_);
  size_t total_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t history_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  // Changes up to this revision are not in the history.
  int64_t forgotten_ ABSL_GUARDED_BY(mutex_);
  Listeners listeners_;
};

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_MEMORY_OBJECT_STORE_H_
