#include "services/missed_events.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <google/protobuf/message.h>

#include "clients/kubernetes/envelope.h"
#include "core/execution.h"
#include "core/refusal.h"
#include "core/status_macros.h"
#include "services/watch_targets.h"

namespace latchkey {
namespace {

constexpr absl::Duration kPause = absl::Milliseconds(200);
// The longest pause that an API server is granted.
constexpr absl::Duration kLongestAsked = absl::Seconds(30);

// The API server gave no answer, or has none now.
bool Passes(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status) || absl::IsInternal(status);
}

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

  // What came after complete_from() up to `to`.
  absl::StatusOr<std::deque<Frame>> Collect(uint64_t from, uint64_t to) {
    at_ = from;
    complete_from_ = from;
    absl::Status last;
    while (at_ < to) {
      if (stop_.stop_requested()) return absl::CancelledError("stopped");
      if (ExecutionNow() > deadline_) {
        return absl::DeadlineExceededError(
            fmt::format("the API server is behind: {}", last.ToString()));
      }
      last = BringUpToDate();
      if (last.ok()) last = WatchOnce(to);
      if (last.ok()) continue;
      if (!Passes(last)) return last;
      if (at_ < to) PauseAfter(last);
    }
    return std::move(frames_);
  }
  uint64_t complete_from() const { return complete_from_; }

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
    return client_.ListObjects(what_.resource,
                               {.name_space = what_.name_space,
                                .label_selector = "latchkey.dev/none",
                                .field_selector = what_.field_selector,
                                .stop = stop_},
                               *list);
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
        return absl::DataLossError("a resourceVersion that is no number");
      }
      at_ = *version;
      // What is beyond is for whoever watches now.
      if (at_ > to || event.type == WatchEventType::kBookmark) continue;
      bytes_ += event.object.size();
      frames_.push_back({.version = at_, .event = std::move(event)});
      // The oldest are missed by fewest of those who ask.
      while (frames_.size() > options_.max_events ||
             bytes_ > options_.max_bytes) {
        complete_from_ = frames_.front().version;
        bytes_ -= frames_.front().event.object.size();
        frames_.pop_front();
      }
    }
    return absl::OkStatus();
  }

  void PauseAfter(const absl::Status& error) {
    const absl::Duration asked =
        std::min(RetryAfterOf(error).value_or(kPause), kLongestAsked);
    const absl::Time until = ExecutionNow() + std::max(asked, kPause);
    while (!stop_.stop_requested() && ExecutionNow() < until) {
      ExecutionSleep(std::min(kPause, until - ExecutionNow()));
    }
  }

  const MissedEventsOptions options_;
  KubernetesClient& client_;
  const WatchTarget what_;
  const std::stop_token stop_;
  const absl::Time deadline_;
  uint64_t at_ = 0;
  uint64_t complete_from_ = 0;
  std::deque<Frame> frames_;
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
  missed.complete_from = from;
  PastWatch past_records(options, client, WatchedRecords(), stop);
  auto records = past_records.Collect(from.records, to.records);
  missed.complete_from.records = past_records.complete_from();
  if (!records.ok()) {
    missed.status = records.status();
    return missed;
  }
  PastWatch past_csrs(options, client, WatchedCsrs(), stop);
  auto csrs = past_csrs.Collect(from.csrs, to.csrs);
  missed.complete_from.csrs = past_csrs.complete_from();
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
