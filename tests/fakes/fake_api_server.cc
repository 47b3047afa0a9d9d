#include "tests/fakes/fake_api_server.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <absl/time/clock.h>
#include <fmt/format.h>
#include <google/protobuf/descriptor.h>

#include "clients/kubernetes/envelope.h"
#include "clients/kubernetes/kube_time.h"
#include "clients/kubernetes/object_meta.h"
#include "clients/kubernetes/request_path.h"
#include "core/base36.h"
#include "core/status_macros.h"
#include "tests/fakes/object_rules.h"

namespace latchkey_testing {
namespace {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::latchkey::ListMetaOf;
using ::latchkey::ListQuery;
using ::latchkey::MutableObjectMetaOf;
using ::latchkey::MutexLock;
using ::latchkey::ObjectMetaOf;
using ::latchkey::ObjectName;
using ::latchkey::RawWatchEvent;
using ::latchkey::Resource;
using ::latchkey::WatchEventType;
namespace kubernetes = ::latchkey::kubernetes;

std::unique_ptr<Message> CopyOf(const Message& object) {
  std::unique_ptr<Message> copy(object.New());
  copy->CopyFrom(object);
  return copy;
}

std::optional<int64_t> ParseVersion(std::string_view text) {
  int64_t version = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), version);
  if (error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return version;
}

std::string Named(const Resource& resource, const ObjectName& name) {
  return fmt::format("{} {}/{}", resource.plural, name.name_space, name.name);
}

absl::Status Conflict(const Resource& resource, const ObjectName& name,
                      std::string_view what) {
  return absl::AbortedError(
      fmt::format("{}: the {} is another", Named(resource, name), what));
}

absl::Status CheckPreconditions(const Resource& resource,
                                const ObjectName& name, const Message& stored,
                                std::string_view uid,
                                std::string_view version) {
  const kubernetes::ObjectMeta& metadata = ObjectMetaOf(stored);
  if (!uid.empty() && uid != metadata.uid()) {
    return Conflict(resource, name, "uid");
  }
  if (!version.empty() && version != metadata.resource_version()) {
    return Conflict(resource, name, "resourceVersion");
  }
  return absl::OkStatus();
}

// A continue token: the version at which the list began and the last key given.
std::string ContinueToken(int64_t version, std::string_view name_space,
                          std::string_view name) {
  return fmt::format("{}|{}|{}", version, name_space, name);
}

struct Continuation {
  int64_t version = 0;
  std::string name_space;
  std::string name;
};

std::optional<Continuation> ParseContinueToken(std::string_view token) {
  const size_t first = token.find('|');
  const size_t second = token.find('|', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const auto version = ParseVersion(token.substr(0, first));
  if (!version) return std::nullopt;
  return Continuation{*version,
                      std::string(token.substr(first + 1, second - first - 1)),
                      std::string(token.substr(second + 1))};
}

kubernetes::ListMeta& MutableListMetaOf(Message& list) {
  const FieldDescriptor* field =
      list.GetDescriptor()->FindFieldByName("metadata");
  return static_cast<kubernetes::ListMeta&>(
      *list.GetReflection()->MutableMessage(&list, field));
}

void AddItem(Message& list, const Message& object) {
  const FieldDescriptor* field = list.GetDescriptor()->FindFieldByName("items");
  list.GetReflection()->AddMessage(&list, field)->CopyFrom(object);
}

}  // namespace

absl::Status FakeApiServer::Create(const Resource& resource,
                                   std::string_view name_space,
                                   const Message& object, Message* result) {
  auto created = CopyOf(object);
  kubernetes::ObjectMeta& metadata = MutableObjectMetaOf(*created);
  const MutexLock lock(mutex_);
  if (metadata.name().empty() && !metadata.generate_name().empty()) {
    metadata.set_name(metadata.generate_name() +
                      latchkey::EncodeBase36(++names_made_, 5));
  }
  const ObjectName name{std::string(name_space), metadata.name()};
  LATCHKEY_RETURN_IF_ERROR(latchkey::ObjectPath(resource, name, "").status());
  LATCHKEY_RETURN_IF_ERROR(CheckNewObject(resource, name, *created));
  const Key key{resource.plural, name.name_space, name.name};
  if (Find(key) != nullptr) {
    return absl::AlreadyExistsError(
        fmt::format("{}: already exists", Named(resource, name)));
  }
  PrepareNewObject(*created);
  metadata.set_namespace_(name.name_space);
  metadata.set_uid(
      fmt::format("00000000-0000-4000-8000-{:012x}", version_ + 1));
  *metadata.mutable_creation_timestamp() =
      latchkey::ToKubernetesTime(clock_.Now());
  const StoredObject stored = Store(key, std::move(created));
  if (result != nullptr) result->CopyFrom(*stored);
  return absl::OkStatus();
}

absl::Status FakeApiServer::Get(const Resource& resource,
                                const ObjectName& name, Message& result) {
  LATCHKEY_RETURN_IF_ERROR(latchkey::ObjectPath(resource, name, "").status());
  const MutexLock lock(mutex_);
  const StoredObject stored =
      Find({std::string(resource.plural), name.name_space, name.name});
  if (stored == nullptr) {
    return absl::NotFoundError(
        fmt::format("{}: not found", Named(resource, name)));
  }
  result.CopyFrom(*stored);
  return absl::OkStatus();
}

absl::Status FakeApiServer::Update(const Resource& resource,
                                   const ObjectName& name,
                                   std::string_view subresource,
                                   const Message& object, Message* result) {
  LATCHKEY_RETURN_IF_ERROR(
      latchkey::ObjectPath(resource, name, subresource).status());
  const kubernetes::ObjectMeta& sent = ObjectMetaOf(object);
  if (sent.name() != name.name ||
      (!sent.namespace_().empty() && sent.namespace_() != name.name_space)) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: the object is named otherwise", Named(resource, name)));
  }
  const MutexLock lock(mutex_);
  const Key key{resource.plural, name.name_space, name.name};
  const StoredObject before = Find(key);
  if (before == nullptr) {
    return absl::NotFoundError(
        fmt::format("{}: not found", Named(resource, name)));
  }
  LATCHKEY_RETURN_IF_ERROR(CheckPreconditions(
      resource, name, *before, sent.uid(), sent.resource_version()));
  LATCHKEY_ASSIGN_OR_RETURN(auto updated,
                            UpdatedObject(*before, object, subresource));
  // As the real server: what changes nothing makes no new version.
  const bool same = latchkey::SerializeDeterministically(*updated) ==
                    latchkey::SerializeDeterministically(*before);
  const StoredObject stored = same ? before : Store(key, std::move(updated));
  if (result != nullptr) result->CopyFrom(*stored);
  return absl::OkStatus();
}

absl::Status FakeApiServer::Delete(
    const Resource& resource, const ObjectName& name,
    const latchkey::DeletePreconditions& expected) {
  LATCHKEY_RETURN_IF_ERROR(latchkey::ObjectPath(resource, name, "").status());
  const MutexLock lock(mutex_);
  const auto found =
      objects_.find({std::string(resource.plural), name.name_space, name.name});
  if (found == objects_.end()) {
    return absl::NotFoundError(
        fmt::format("{}: not found", Named(resource, name)));
  }
  LATCHKEY_RETURN_IF_ERROR(CheckPreconditions(
      resource, name, *found->second, expected.uid, expected.resource_version));
  history_.push_back({++version_, std::string(resource.plural), name.name_space,
                      found->second, nullptr});
  objects_.erase(found);
  changed_.SignalAll();
  return absl::OkStatus();
}

absl::Status FakeApiServer::List(const Resource& resource,
                                 const ListQuery& query, Message& list) {
  LATCHKEY_RETURN_IF_ERROR(
      latchkey::CollectionPath(resource, query.name_space).status());
  LATCHKEY_ASSIGN_OR_RETURN(
      const Selectors selectors,
      Selectors::Parse(query.label_selector, query.field_selector));
  const MutexLock lock(mutex_);
  Continuation from;
  from.version = version_;
  if (!query.continue_token.empty()) {
    const auto parsed = ParseContinueToken(query.continue_token);
    if (!parsed) return absl::InvalidArgumentError("not a continue token");
    if (parsed->version < forgotten_) {
      return absl::OutOfRangeError("the continue token has expired");
    }
    from = *parsed;
  }
  list.Clear();
  kubernetes::ListMeta& metadata = MutableListMetaOf(list);
  metadata.set_resource_version(std::to_string(from.version));
  int64_t given = 0;
  const Key begin{resource.plural, from.name_space, from.name};
  for (auto it = objects_.lower_bound(begin); it != objects_.end(); ++it) {
    const auto& [plural, name_space, name] = it->first;
    if (plural != resource.plural) break;
    const bool seen = !query.continue_token.empty() && it->first == begin;
    const bool wanted =
        query.name_space.empty() || name_space == query.name_space;
    if (seen || !wanted || !selectors.Matches(*it->second)) continue;
    if (query.limit > 0 && given == query.limit) {
      metadata.set_continue_(
          ContinueToken(from.version, from.name_space, from.name));
      break;
    }
    AddItem(list, *it->second);
    ++given;
    from.name_space = name_space;
    from.name = name;
  }
  return absl::OkStatus();
}

FakeApiServer::StoredObject FakeApiServer::Find(const Key& key) const {
  const auto found = objects_.find(key);
  return found == objects_.end() ? nullptr : found->second;
}

FakeApiServer::StoredObject FakeApiServer::Store(
    const Key& key, std::unique_ptr<Message> object) {
  MutableObjectMetaOf(*object).set_resource_version(std::to_string(++version_));
  StoredObject after = std::move(object);
  StoredObject& place = objects_[key];
  history_.push_back(
      {version_, std::get<0>(key), std::get<1>(key), place, after});
  place = after;
  changed_.SignalAll();
  return after;
}

absl::StatusOr<std::shared_ptr<FakeApiServer::Watch>> FakeApiServer::OpenWatch(
    const Resource& resource, const latchkey::WatchQuery& query) {
  LATCHKEY_RETURN_IF_ERROR(
      latchkey::CollectionPath(resource, query.name_space).status());
  auto watch = std::make_shared<Watch>();
  LATCHKEY_ASSIGN_OR_RETURN(
      watch->selectors,
      Selectors::Parse(query.label_selector, query.field_selector));
  const auto version = ParseVersion(query.resource_version);
  if (!version) return absl::InvalidArgumentError("not a resourceVersion");
  watch->plural = resource.plural;
  watch->name_space = query.name_space;
  watch->version = *version;
  const MutexLock lock(mutex_);
  watch->generation = generation_;
  watch->bookmarks_seen = bookmarks_;
  ++open_watches_;
  return watch;
}

absl::StatusOr<RawWatchEvent> FakeApiServer::NextEvent(Watch& watch,
                                                       absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  const MutexLock lock(mutex_);
  while (true) {
    LATCHKEY_RETURN_IF_ERROR(EndOf(watch));
    if (auto event = Advance(watch)) return *std::move(event);
    if (watch.generation != generation_) {
      return absl::UnavailableError("the watch ended");
    }
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError("no event in time");
    }
    changed_.WaitFor(mutex_, left);
  }
}

absl::Status FakeApiServer::EndOf(const Watch& watch) const {
  if (watch.cancelled) return absl::CancelledError("the watch was cancelled");
  if (watch.version < forgotten_) {
    return absl::OutOfRangeError("the resourceVersion is too old");
  }
  return absl::OkStatus();
}

std::optional<RawWatchEvent> FakeApiServer::Advance(Watch& watch) {
  auto change = std::upper_bound(
      history_.begin(), history_.end(), watch.version,
      [](int64_t version, const Change& c) { return version < c.version; });
  for (; change != history_.end(); ++change) {
    watch.version = change->version;
    if (auto event = EventFor(watch, *change)) return event;
  }
  if (watch.bookmarks_seen < bookmarks_) {
    watch.bookmarks_seen = bookmarks_;
    watch.version = version_;
    // All kinds have their metadata as field 1, and a bookmark only that.
    kubernetes::Secret bookmark;
    bookmark.mutable_metadata()->set_resource_version(std::to_string(version_));
    return RawWatchEvent{WatchEventType::kBookmark,
                         bookmark.SerializeAsString()};
  }
  return std::nullopt;
}

// An object that comes to match a selector is added, one that no longer does is
// deleted, with what it was before.
std::optional<RawWatchEvent> FakeApiServer::EventFor(
    const Watch& watch, const Change& change) const {
  if (change.plural != watch.plural) return std::nullopt;
  if (!watch.name_space.empty() && change.name_space != watch.name_space) {
    return std::nullopt;
  }
  const bool before =
      change.before != nullptr && watch.selectors.Matches(*change.before);
  const bool after =
      change.after != nullptr && watch.selectors.Matches(*change.after);
  if (!before && !after) return std::nullopt;
  const auto object = CopyOf(after ? *change.after : *change.before);
  MutableObjectMetaOf(*object).set_resource_version(
      std::to_string(change.version));
  RawWatchEvent event;
  event.type = !after   ? WatchEventType::kDeleted
               : before ? WatchEventType::kModified
                        : WatchEventType::kAdded;
  event.object = latchkey::SerializeDeterministically(*object);
  return event;
}

void FakeApiServer::CancelWatch(Watch& watch) {
  const MutexLock lock(mutex_);
  watch.cancelled = true;
  changed_.SignalAll();
}

void FakeApiServer::CloseWatch() {
  const MutexLock lock(mutex_);
  --open_watches_;
}

void FakeApiServer::ForgetHistory() {
  const MutexLock lock(mutex_);
  // The version itself moves on, so that what was read before is too old.
  forgotten_ = ++version_;
  history_.clear();
  changed_.SignalAll();
}

void FakeApiServer::EndWatches() {
  const MutexLock lock(mutex_);
  ++generation_;
  changed_.SignalAll();
}

void FakeApiServer::SendBookmarks() {
  const MutexLock lock(mutex_);
  ++bookmarks_;
  changed_.SignalAll();
}

int FakeApiServer::OpenWatches() const {
  const MutexLock lock(mutex_);
  return open_watches_;
}

}  // namespace latchkey_testing
