#include "devcluster/store_watch.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "clients/kubernetes/object_meta.h"
#include "core/status_macros.h"
#include "devcluster/api_error.h"

namespace latchkey {
namespace {

using ::google::protobuf::Message;

// Read from the history at a time.
constexpr size_t kBatch = 64;

absl::StatusOr<int64_t> ParseVersion(std::string_view text) {
  int64_t version = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), version);
  if (error == std::errc() && end == text.data() + text.size() &&
      version >= 0) {
    return version;
  }
  // Upstream does not expect that, and shows what its parser says.
  return ServerError(
      fmt::format("resourceVersion: Invalid value: \"{}\": strconv.ParseUint: "
                  "parsing \"{}\": invalid syntax",
                  text, text));
}

// `object` as it was, at the revision at which it went away.
StoredObject LastOf(const StoredObjectData& object, int64_t revision) {
  std::unique_ptr<Message> last(object.message().New());
  last->CopyFrom(object.message());
  MutableObjectMetaOf(*last).set_resource_version(std::to_string(revision));
  return std::make_shared<const StoredObjectData>(std::move(last), revision);
}

}  // namespace

StoreWatch::StoreWatch(ObjectStore& store, WatchSignals& signals,
                       const Clock& clock, const ApiResource& resource,
                       Selectors selectors,
                       const ApiServer::WatchOptions& options)
    : store_(store),
      signals_(signals),
      clock_(clock),
      resource_(resource),
      selectors_(std::move(selectors)),
      name_space_(options.query.name_space),
      bookmarks_(options.bookmarks),
      end_(clock.Now() + options.query.timeout),
      bookmarks_seen_(signals.bookmarks),
      ends_before_(signals.ends) {}

absl::StatusOr<std::unique_ptr<ApiWatch>> StoreWatch::Open(
    ObjectStore& store, WatchSignals& signals, const Clock& clock,
    const ApiResource& resource, Selectors selectors,
    const ApiServer::WatchOptions& options) {
  std::unique_ptr<StoreWatch> watch(new StoreWatch(
      store, signals, clock, resource, std::move(selectors), options));
  const std::string& version = options.query.resource_version;
  if (!version.empty()) {
    LATCHKEY_ASSIGN_OR_RETURN(watch->position_, ParseVersion(version));
  }
  // The store was another when the client saw that version: what it would wait
  // for are changes that it has not seen.
  if (const int64_t now = store.Revision(); watch->position_ > now) {
    return TooNewVersionError(watch->position_, now);
  }
  if (watch->position_ == 0 || options.initial_events) {
    LATCHKEY_RETURN_IF_ERROR(watch->Begin(options.initial_events));
  } else if (!store.ChangesAfter(watch->position_, 1).ok()) {
    return ExpiredError(fmt::format("too old resource version: {} ({})",
                                    watch->position_, store.Revision()));
  }
  // From the position on, nothing is missed: the first Poll() comes after this.
  if (options.listener != nullptr) {
    watch->on_write_ = store.Listen(options.listener);
    watch->on_signal_ = signals.listeners.Add(options.listener);
  }
  return watch;
}

absl::Status StoreWatch::Begin(bool with_end_mark) {
  position_ = 0;
  LATCHKEY_ASSIGN_OR_RETURN(
      const std::vector<StoredObject> objects,
      store_.Snapshot(resource_.resource, name_space_, position_));
  for (const StoredObject& object : objects) {
    if (!selectors_.Matches(object->message())) continue;
    initial_.push_back({WatchEventType::kAdded, object});
  }
  if (with_end_mark) initial_.push_back(Bookmark(true));
  return absl::OkStatus();
}

absl::StatusOr<std::optional<WatchedChange>> StoreWatch::Poll() {
  if (!initial_.empty()) {
    WatchedChange first = std::move(initial_.front());
    initial_.pop_front();
    return first;
  }
  LATCHKEY_ASSIGN_OR_RETURN(std::optional<WatchedChange> change, NextChange());
  if (change) return change;
  return AtRest();
}

absl::StatusOr<std::optional<WatchedChange>> StoreWatch::NextChange() {
  while (true) {
    while (!read_.empty()) {
      const StoreChange change = std::move(read_.front());
      read_.pop_front();
      position_ = change.revision;
      if (auto event = EventOf(change)) return event;
    }
    // Read before the changes, so that they are all there are up to it.
    const int64_t revision = store_.Revision();
    auto changes = store_.ChangesAfter(position_, kBatch);
    if (!changes.ok()) {
      return ExpiredError(fmt::format("too old resource version: {} ({})",
                                      position_, revision));
    }
    if (changes->empty()) {
      position_ = std::max(position_, revision);
      return std::nullopt;
    }
    read_.assign(std::make_move_iterator(changes->begin()),
                 std::make_move_iterator(changes->end()));
  }
}

// An object that comes to match a selector is added, one that no longer does is
// deleted, with what it was before.
std::optional<WatchedChange> StoreWatch::EventOf(
    const StoreChange& change) const {
  if (change.plural != resource_.resource.plural) return std::nullopt;
  if (!name_space_.empty() && change.name.name_space != name_space_) {
    return std::nullopt;
  }
  const bool before =
      change.before != nullptr && selectors_.Matches(change.before->message());
  const bool after =
      change.after != nullptr && selectors_.Matches(change.after->message());
  if (after) {
    return WatchedChange{
        before ? WatchEventType::kModified : WatchEventType::kAdded,
        change.after};
  }
  if (!before) return std::nullopt;
  return WatchedChange{WatchEventType::kDeleted,
                       LastOf(*change.before, change.revision)};
}

WatchedChange StoreWatch::Bookmark(bool ends_initial_events) const {
  std::unique_ptr<Message> mark(resource_.prototype->New());
  kubernetes::ObjectMeta& metadata = MutableObjectMetaOf(*mark);
  metadata.set_resource_version(std::to_string(position_));
  if (ends_initial_events) {
    (*metadata.mutable_annotations())["k8s.io/initial-events-end"] = "true";
  }
  return {WatchEventType::kBookmark,
          std::make_shared<const StoredObjectData>(std::move(mark), position_)};
}

absl::StatusOr<std::optional<WatchedChange>> StoreWatch::AtRest() {
  const int64_t bookmarks = signals_.bookmarks;
  const bool asked = bookmarks != bookmarks_seen_;
  bookmarks_seen_ = bookmarks;
  const bool over = clock_.Now() >= end_;
  // A last one before the watch ends, so that the next can begin there.
  if (bookmarks_ && (asked || (over && !said_farewell_))) {
    said_farewell_ = over;
    return Bookmark(false);
  }
  if (over || signals_.ends != ends_before_) {
    return absl::UnavailableError("the watch has ended");
  }
  return std::nullopt;
}

}  // namespace latchkey
