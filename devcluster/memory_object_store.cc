#include "devcluster/memory_object_store.h"

#include <algorithm>
#include <utility>

#include "clients/kubernetes/envelope.h"
#include "clients/kubernetes/object_meta.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

using ::google::protobuf::Message;

StoredObject AtRevision(std::unique_ptr<Message> object, int64_t revision) {
  MutableObjectMetaOf(*object).set_resource_version(std::to_string(revision));
  return std::make_shared<const StoredObjectData>(std::move(object), revision);
}

std::unique_ptr<Message> CopyOf(const Message& message) {
  std::unique_ptr<Message> copy(message.New());
  copy->CopyFrom(message);
  return copy;
}

// What an object takes of Options::total_bytes. The empty message and its place
// in the map are not for nothing either.
size_t CostOf(const StoredObject& object) {
  constexpr size_t kOverhead = 512;
  return object == nullptr ? 0 : object->encoded().size() + kOverhead;
}

// What only the history holds for the sake of this change: `after` is in the
// store, or is what a later change found.
size_t HistoryCostOf(const StoreChange& change) {
  return CostOf(change.before);
}

}  // namespace

StoredObjectData::StoredObjectData(std::unique_ptr<const Message> message,
                                   int64_t revision)
    : message_(std::move(message)),
      encoded_(SerializeDeterministically(*message_)),
      revision_(revision) {}

MemoryObjectStore::MemoryObjectStore(const Options& options, Content content,
                                     std::unique_ptr<ObjectJournal> journal)
    : options_(options),
      journal_(std::move(journal)),
      revision_(content.revision),
      objects_(std::move(content.objects)),
      forgotten_(content.revision) {
  const MutexLock lock(mutex_);
  for (const auto& [key, object] : objects_) total_bytes_ += CostOf(object);
}

int64_t MemoryObjectStore::Revision() const {
  const MutexLock lock(mutex_);
  return revision_;
}

StoredObject MemoryObjectStore::Find(const Resource& resource,
                                     const ObjectName& name) const {
  const Key key{std::string(resource.plural), name.name_space, name.name};
  const MutexLock lock(mutex_);
  const auto found = objects_.find(key);
  return found == objects_.end() ? nullptr : found->second;
}

absl::StatusOr<StoredObject> MemoryObjectStore::Write(
    const Resource& resource, const ObjectName& name,
    const StoredObject& expected, std::unique_ptr<Message> object) {
  StoredObject answer;
  {
    const MutexLock writing(write_mutex_);
    // Only writers change these, and this is the one writer.
    if (Find(resource, name) != expected) {
      return absl::AbortedError("the object is another");
    }
    if (expected == nullptr && object == nullptr) return StoredObject();
    StoreChange change{.revision = Revision() + 1,
                       .plural = std::string(resource.plural),
                       .name = name,
                       .before = expected};
    const bool removes = object == nullptr;
    answer =
        AtRevision(removes ? CopyOf(expected->message()) : std::move(object),
                   change.revision);
    if (!removes) change.after = answer;
    LATCHKEY_RETURN_IF_ERROR(CheckRoom(change.before, change.after));
    if (journal_ != nullptr) {
      LATCHKEY_RETURN_IF_ERROR(journal_->Record(change));
    }
    Apply(std::move(change));
  }
  listeners_.CallAll();
  return answer;
}

absl::Status MemoryObjectStore::CheckRoom(const StoredObject& before,
                                          const StoredObject& after) const {
  if (after != nullptr && after->encoded().size() > options_.object_bytes) {
    return absl::InvalidArgumentError("the object is too large");
  }
  const size_t freed = CostOf(before);
  const size_t taken = CostOf(after);
  const MutexLock lock(mutex_);
  if (taken <= freed || total_bytes_ - freed + taken <= options_.total_bytes) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError("the store is full");
}

void MemoryObjectStore::Apply(StoreChange change) {
  Key key{change.plural, change.name.name_space, change.name.name};
  const MutexLock lock(mutex_);
  revision_ = change.revision;
  total_bytes_ += CostOf(change.after);
  total_bytes_ -= CostOf(change.before);
  if (change.after == nullptr) {
    objects_.erase(key);
  } else {
    objects_[std::move(key)] = change.after;
  }
  Remember(std::move(change));
}

void MemoryObjectStore::Remember(StoreChange change) {
  history_bytes_ += HistoryCostOf(change);
  history_.push_back(std::move(change));
  while (history_.size() > options_.history ||
         history_bytes_ > options_.history_bytes) {
    forgotten_ = history_.front().revision;
    history_bytes_ -= HistoryCostOf(history_.front());
    history_.pop_front();
  }
}

absl::Status MemoryObjectStore::CheckKnown(int64_t revision) const {
  if (revision >= forgotten_) return absl::OkStatus();
  return absl::OutOfRangeError("the revision is forgotten");
}

absl::StatusOr<std::vector<StoredObject>> MemoryObjectStore::Snapshot(
    const Resource& resource, std::string_view name_space,
    int64_t& revision) const {
  const std::string space(name_space);
  std::map<Key, StoredObject> found;
  {
    const MutexLock lock(mutex_);
    if (revision == 0) revision = revision_;
    LATCHKEY_RETURN_IF_ERROR(CheckKnown(revision));
    if (revision > revision_) {
      return absl::OutOfRangeError("the revision is not reached yet");
    }
    auto at = objects_.lower_bound({std::string(resource.plural), space, ""});
    for (; at != objects_.end() && at->first.plural == resource.plural; ++at) {
      if (!space.empty() && at->first.name_space != space) break;
      found.insert(found.end(), *at);
    }
    // Backwards, from now to `revision`.
    for (auto change = history_.rbegin();
         change != history_.rend() && change->revision > revision; ++change) {
      if (change->plural != resource.plural) continue;
      if (!space.empty() && change->name.name_space != space) continue;
      Key key{change->plural, change->name.name_space, change->name.name};
      if (change->before == nullptr) {
        found.erase(key);
      } else {
        found[std::move(key)] = change->before;
      }
    }
  }
  std::vector<StoredObject> objects;
  objects.reserve(found.size());
  for (auto& [key, object] : found) objects.push_back(std::move(object));
  return objects;
}

absl::StatusOr<std::vector<StoreChange>> MemoryObjectStore::ChangesAfter(
    int64_t revision, size_t limit) const {
  const MutexLock lock(mutex_);
  LATCHKEY_RETURN_IF_ERROR(CheckKnown(revision));
  auto change = std::upper_bound(
      history_.begin(), history_.end(), revision,
      [](int64_t at, const StoreChange& c) { return at < c.revision; });
  std::vector<StoreChange> changes;
  for (; change != history_.end() && changes.size() < limit; ++change) {
    changes.push_back(*change);
  }
  return changes;
}

std::shared_ptr<void> MemoryObjectStore::Listen(
    std::function<void()> listener) {
  return listeners_.Add(std::move(listener));
}

absl::Status MemoryObjectStore::Health() const {
  return journal_ == nullptr ? absl::OkStatus() : journal_->Health();
}

void MemoryObjectStore::ForgetHistory() {
  {
    const MutexLock writing(write_mutex_);
    const MutexLock lock(mutex_);
    // The revision itself moves on, so that the one before is too old as well.
    // It need not last: nothing was written at it.
    forgotten_ = ++revision_;
    history_.clear();
    history_bytes_ = 0;
  }
  listeners_.CallAll();
}

std::unique_ptr<ObjectStore> MakeMemoryObjectStore(
    const ObjectStore::Options& options) {
  return std::make_unique<MemoryObjectStore>(
      options, MemoryObjectStore::Content(), nullptr);
}

}  // namespace latchkey
