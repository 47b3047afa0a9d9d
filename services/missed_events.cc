#include "services/missed_events.h"

#include <memory>
#include <string>
#include <utility>

#include <google/protobuf/message.h>

#include "clients/kubernetes/envelope.h"
#include "core/execution.h"
#include "core/status_macros.h"
#include "services/watch_targets.h"

namespace latchkey {
namespace {

constexpr absl::Duration kPause = absl::Milliseconds(200);

// What one watch said, with the versions as numbers.
struct Frame {
  uint64_t version;
  RawWatchEvent event;
};

// One source, watched from one version to another.
class PastWatch {
 public:
  PastWatch(const MissedEventsOptions& options, KubernetesClient& client,
            WatchTarget what, std::stop_token stop)
      : options_(options),
        client_(client),
        what_(std::move(what)),
        stop_(std::move(stop)),
        deadline_(ExecutionNow() + options.patience) {}

  absl::StatusOr<std::vector<Frame>> Collect(uint64_t from, uint64_t to) {
    at_ = from;
    while (at_ < to) {
      if (stop_.stop_requested()) return absl::CancelledError("stopped");
      if (ExecutionNow() > deadline_) {
        return absl::DeadlineExceededError("the API server is behind");
      }
      LATCHKEY_RETURN_IF_ERROR(BringUpToDate());
      absl::Status end = WatchOnce(to);
      if (absl::IsUnavailable(end) && at_ < to) ExecutionSleep(kPause);
      if (absl::IsUnavailable(end) || absl::IsDeadlineExceeded(end)) continue;
      LATCHKEY_RETURN_IF_ERROR(end);
    }
    return std::move(frames_);
  }

 private:
  // An API server's watches come from a cache that learns of this kind's
  // objects only. While none changes it does not learn how far the others have
  // come, and `to` may be such a version: a consistent list, even of nothing,
  // makes it ask.
  absl::Status BringUpToDate() {
    std::unique_ptr<google::protobuf::Message> list;
    if (what_.resource.namespaced) {
      list = std::make_unique<kubernetes::SecretList>();
    } else {
      list = std::make_unique<kubernetes::CertificateSigningRequestList>();
    }
    const absl::Status listed =
        client_.ListObjects(what_.resource,
                            {.name_space = what_.name_space,
                             .label_selector = "latchkey.dev/none",
                             .field_selector = what_.field_selector,
                             .stop = stop_},
                            *list);
    return absl::IsUnavailable(listed) ? absl::OkStatus() : listed;
  }

  absl::Status WatchOnce(uint64_t to) {
    LATCHKEY_ASSIGN_OR_RETURN(
        const auto watch,
        client_.WatchObjects(what_.resource,
                             {.name_space = what_.name_space,
                              .label_selector = what_.label_selector,
                              .field_selector = what_.field_selector,
                              .resource_version = std::to_string(at_),
                              .timeout = options_.watch_time,
                              .stop = stop_}));
    const std::stop_callback cancel(stop_, [&] { watch->Cancel(); });
    while (at_ < to) {
      LATCHKEY_ASSIGN_OR_RETURN(RawWatchEvent event,
                                watch->Next(2 * options_.watch_time));
      LATCHKEY_ASSIGN_OR_RETURN(const std::string text,
                                ResourceVersionOf(event.object));
      const auto version = ParseResourceVersion(text);
      if (!version.has_value()) {
        return absl::InternalError("a resourceVersion that is no number");
      }
      at_ = *version;
      // What is beyond is for whoever watches now.
      if (at_ > to || event.type == WatchEventType::kBookmark) continue;
      bytes_ += event.object.size();
      if (frames_.size() >= options_.max_events ||
          bytes_ > options_.max_bytes) {
        return absl::ResourceExhaustedError("too many events were missed");
      }
      frames_.push_back({.version = at_, .event = std::move(event)});
    }
    return absl::OkStatus();
  }

  const MissedEventsOptions options_;
  KubernetesClient& client_;
  const WatchTarget what_;
  const std::stop_token stop_;
  const absl::Time deadline_;
  uint64_t at_ = 0;
  std::vector<Frame> frames_;
  size_t bytes_ = 0;
};

void AddRecordFrame(Frame frame, EventMerge& merge) {
  std::shared_ptr<const TokenEvent> event;
  kubernetes::Secret secret;
  if (secret.ParseFromString(frame.event.object)) {
    const auto token = ReadWithoutOrigin(secret);
    if (token.ok()) {
      event = std::make_shared<const TokenEvent>(
          frame.event.type == WatchEventType::kDeleted
              ? EventOfRemoval(token->record)
              : EventOfWrite(token->record));
    }
  }
  merge.AddRecord(frame.version, std::move(event));
}

void AddCsrFrame(const Frame& frame, EventMerge& merge) {
  kubernetes::CertificateSigningRequest csr;
  if (frame.event.type == WatchEventType::kDeleted ||
      !csr.ParseFromString(frame.event.object)) {
    merge.AddCsrVersion(frame.version);
  } else {
    merge.AddCsr(frame.version, csr);
  }
}

}  // namespace

MissedEvents CollectMissedEvents(const MissedEventsOptions& options,
                                 KubernetesClient& client, const EventCut& from,
                                 const EventCut& to, const Reservations& known,
                                 const std::stop_token& stop) {
  MissedEvents missed;
  auto records = PastWatch(options, client, WatchedRecords(), stop)
                     .Collect(from.records, to.records);
  if (!records.ok()) {
    missed.status = records.status();
    return missed;
  }
  auto csrs = PastWatch(options, client, WatchedCsrs(), stop)
                  .Collect(from.csrs, to.csrs);
  if (!csrs.ok()) {
    missed.status = csrs.status();
    missed.failed = EventSource::kCsrs;
    return missed;
  }
  EventMerge merge(absl::ZeroDuration());
  for (Frame& frame : *records) AddRecordFrame(std::move(frame), merge);
  for (const Frame& frame : *csrs) AddCsrFrame(frame, merge);
  EventCut told;
  merge.Finish(known, missed.events, told);
  return missed;
}

}  // namespace latchkey
