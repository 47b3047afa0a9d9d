// The ApiWatch over an ObjectStore.

#ifndef LATCHKEY_DEVCLUSTER_STORE_WATCH_H_
#define LATCHKEY_DEVCLUSTER_STORE_WATCH_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include <absl/time/time.h>

#include "core/clock.h"
#include "devcluster/api_resources.h"
#include "devcluster/api_server.h"
#include "devcluster/listeners.h"
#include "devcluster/object_store.h"
#include "devcluster/selectors.h"

namespace latchkey {

// What an ApiServer tells all its watches.
struct WatchSignals {
  std::atomic<int64_t> bookmarks = 0;  // times that SendBookmarks() was called
  std::atomic<int64_t> ends = 0;       // times that EndWatches() was called
  Listeners listeners;
};

class StoreWatch final : public ApiWatch {
 public:
  // All must outlive the watch. kOutOfRange if the version is too old
  // (410) or not reached yet (504), kInternal (500, as upstream) if it is none.
  static absl::StatusOr<std::unique_ptr<ApiWatch>> Open(
      ObjectStore& store, WatchSignals& signals, const Clock& clock,
      const ApiResource& resource, Selectors selectors,
      const ApiServer::WatchOptions& options);

  absl::StatusOr<std::optional<WatchedChange>> Poll() override;

 private:
  StoreWatch(ObjectStore& store, WatchSignals& signals, const Clock& clock,
             const ApiResource& resource, Selectors selectors,
             const ApiServer::WatchOptions& options);

  // Begins with what there is.
  absl::Status Begin(bool with_end_mark);
  // The next change of the history that is to be seen. What was read of it at
  // once is told, also if the history forgets it meanwhile.
  absl::StatusOr<std::optional<WatchedChange>> NextChange();
  std::optional<WatchedChange> EventOf(const StoreChange& change) const;
  // The change that tells no more than the position.
  WatchedChange Bookmark(bool ends_initial_events) const;
  // A bookmark that is due; kUnavailable if the watch has ended.
  absl::StatusOr<std::optional<WatchedChange>> AtRest();

  ObjectStore& store_;
  WatchSignals& signals_;
  const Clock& clock_;
  const ApiResource& resource_;
  const Selectors selectors_;
  const std::string name_space_;
  const bool bookmarks_;
  const absl::Time end_;

  int64_t position_ = 0;  // all up to here was seen
  std::deque<WatchedChange> initial_;
  // Read from the history, and to come after position_.
  std::deque<StoreChange> read_;
  int64_t bookmarks_seen_;
  const int64_t ends_before_;
  bool said_farewell_ = false;
  // Last, so that the listener is no longer called when the rest goes.
  std::shared_ptr<void> on_write_;
  std::shared_ptr<void> on_signal_;
};

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_STORE_WATCH_H_
