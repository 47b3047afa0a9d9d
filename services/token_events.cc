#include "services/token_events.h"

#include <algorithm>
#include <utility>

#include <absl/status/status.h>

#include "clients/log/event_log.h"
#include "core/execution.h"

namespace latchkey {
namespace {

using kubernetes::CertificateSigningRequest;

// How often what is held up is looked at again.
constexpr absl::Duration kHoldingTick = absl::Milliseconds(500);

}  // namespace

TokenEvents::TokenEvents(Options options, KubernetesClient& client)
    : options_(options), client_(client), merge_(options.patience) {
  threads_.emplace_back([this] { TellReaders(stop_.get_token()); });
  threads_.emplace_back([this] { ServeRequests(stop_.get_token()); });
}

TokenEvents::~TokenEvents() {
  stop_.request_stop();
  {
    const MutexLock lock(mutex_);
    wake_teller_.SignalAll();
    wake_server_.SignalAll();
  }
  threads_.clear();
}

void TokenEvents::Add(std::shared_ptr<Reader> reader) {
  const MutexLock lock(mutex_);
  const Reader* key = reader.get();
  readers_[key] = std::move(reader);
}

void TokenEvents::Remove(const Reader* reader) {
  std::shared_ptr<Reader> last;  // goes without the lock
  const MutexLock lock(mutex_);
  const auto it = readers_.find(reader);
  if (it == readers_.end()) return;
  last = std::move(it->second);
  readers_.erase(it);
}

void TokenEvents::Publish() {
  std::vector<VersionedEvent> told;
  if (!ready()) {
    // Readers begin after the second list: what happens before it is not kept,
    // for however long that list takes to come.
    merge_.Finish({}, told, head_);
    return;
  }
  merge_.Drain(ExecutionNow(), told, head_);
  for (VersionedEvent& event : told) {
    ring_bytes_ += BytesOf(*event.event);
    ring_.push_back(std::move(event));
  }
  while (ring_.size() > options_.max_events ||
         ring_bytes_ > options_.max_bytes) {
    const VersionedEvent& oldest = ring_.front();
    base_.of(oldest.source) = oldest.version;
    ring_bytes_ -= BytesOf(*oldest.event);
    ring_.pop_front();
    ++first_;
  }
  news_ |= !told.empty();
  const bool tell = news_ && !readers_.empty();
  if (tell || (merge_.holding() && !looks_again_)) wake_teller_.SignalAll();
}

void TokenEvents::Restart(EventSource listed, std::string_view version) {
  bool& was_listed =
      listed == EventSource::kRecords ? records_listed_ : csrs_listed_;
  const bool first = !std::exchange(was_listed, true);
  // Also if it is less than before: the store may be another.
  head_.of(listed) = ParseResourceVersion(version).value_or(0);
  if (!first) {
    first_ = RingEnd();
    ring_.clear();
    ring_bytes_ = 0;
    ++epoch_;
  }
  base_ = head_;
  if (!ready()) return;
  news_ = true;
  Publish();
}

void TokenEvents::RecordsListed(const std::vector<StoredToken>& tokens,
                                std::string_view version) {
  const MutexLock lock(mutex_);
  merge_.RecordsListed(tokens);
  Restart(EventSource::kRecords, version);
}

void TokenEvents::RecordWritten(const StoredToken& token, bool news) {
  const auto version = ParseResourceVersion(token.version);
  if (!version.has_value()) return;
  auto event =
      news ? std::make_shared<const TokenEvent>(EventOfWrite(token.record))
           : nullptr;
  const MutexLock lock(mutex_);
  merge_.AddRecord(*version, std::move(event));
  Publish();
}

void TokenEvents::RecordRemoved(const StoredToken& token) {
  const auto version = ParseResourceVersion(token.version);
  if (!version.has_value()) return;
  auto event = std::make_shared<const TokenEvent>(EventOfRemoval(token.record));
  const MutexLock lock(mutex_);
  merge_.AddRecord(*version, std::move(event));
  Publish();
}

void TokenEvents::CsrsListed(const std::vector<CertificateSigningRequest>& csrs,
                             std::string_view version) {
  const MutexLock lock(mutex_);
  merge_.CsrsListed(csrs);
  Restart(EventSource::kCsrs, version);
}

void TokenEvents::CsrWritten(const CertificateSigningRequest& csr) {
  const auto version = ParseResourceVersion(csr.metadata().resource_version());
  if (!version.has_value()) return;
  const MutexLock lock(mutex_);
  merge_.AddCsr(*version, csr);
  Publish();
}

void TokenEvents::PassedBy(EventSource source, std::string_view version) {
  const auto number = ParseResourceVersion(version);
  if (!number.has_value()) return;
  const MutexLock lock(mutex_);
  if (source == EventSource::kRecords) {
    merge_.AddRecord(*number, nullptr);
  } else {
    merge_.AddCsrVersion(*number);
  }
  Publish();
}

TokenEvents::Position TokenEvents::Begin(std::optional<EventCut> cursor) {
  Position position;
  position.has_cursor_ = cursor.has_value();
  if (cursor.has_value()) position.cut_ = *cursor;
  return position;
}

TokenEvents::News TokenEvents::Next(Position& position) {
  const MutexLock lock(mutex_);
  if (!ready()) return {};
  if (position.request_ != nullptr) {
    if (!position.request_->done) return {};
    return NextMissed(position);
  }
  if (!position.started_ && !Start(position)) return {};
  return NextLive(position);
}

bool TokenEvents::Start(Position& position) {
  position.epoch_ = epoch_;
  if (!position.has_cursor_) {
    position.cut_ = head_;
    position.next_ = RingEnd();
    position.started_ = true;
    return true;
  }
  if (position.cut_.Covers(base_)) {
    position.next_ = first_;
    position.started_ = true;
    return true;
  }
  position.request_ = std::make_shared<Request>();
  position.request_->from = position.cut_;
  requests_.push_back(position.request_);
  wake_server_.SignalAll();
  return false;
}

TokenEvents::News TokenEvents::NextMissed(Position& position) {
  const Request& request = *position.request_;
  position.started_ = true;
  if (request.gap.has_value()) return Gap(position, *request.gap);
  Past& past = *request.past;
  if (past.dropped) return Gap(position, GapCause::kReadTooSlowly);
  past.last_read = ++reads_;
  while (position.next_missed_ < past.events.size()) {
    const VersionedEvent& event = past.events[position.next_missed_++];
    if (event.version <= position.cut_.of(event.source)) continue;
    position.cut_.of(event.source) = event.version;
    return {.kind = News::Kind::kEvent, .event = event.event};
  }
  position.cut_ = {
      .records = std::max(position.cut_.records, request.to.records),
      .csrs = std::max(position.cut_.csrs, request.to.csrs)};
  position.epoch_ = request.epoch;
  position.request_.reset();
  if (position.epoch_ == epoch_ && !position.cut_.Covers(base_)) {
    return Gap(position, GapCause::kReadTooSlowly);
  }
  position.next_ = first_;
  return NextLive(position);
}

TokenEvents::News TokenEvents::NextLive(Position& position) {
  if (position.epoch_ != epoch_)
    return Gap(position, GapCause::kWatchInterrupted);
  if (position.next_ < first_) return Gap(position, GapCause::kReadTooSlowly);
  while (position.next_ < RingEnd()) {
    const VersionedEvent& event = ring_[position.next_++ - first_];
    // Told by another replica, which may have mixed the sources otherwise.
    if (event.version <= position.cut_.of(event.source)) continue;
    position.cut_.of(event.source) = event.version;
    return {.kind = News::Kind::kEvent, .event = event.event};
  }
  const bool ahead = !head_.Covers(position.cut_);
  const absl::Time now = ExecutionNow();
  position.ahead_since_ =
      ahead ? std::min(position.ahead_since_, now) : absl::InfiniteFuture();
  if (now - position.ahead_since_ > options_.max_ahead) {
    return Gap(position, GapCause::kCursorAhead);
  }
  position.cut_ = {.records = std::max(position.cut_.records, head_.records),
                   .csrs = std::max(position.cut_.csrs, head_.csrs)};
  return {};
}

TokenEvents::News TokenEvents::Gap(Position& position, GapCause why) {
  position.request_.reset();
  position.cut_ = head_;
  position.epoch_ = epoch_;
  position.next_ = RingEnd();
  position.ahead_since_ = absl::InfiniteFuture();
  return {.kind = News::Kind::kGap, .event = nullptr, .gap = why};
}

void TokenEvents::Keep(const std::shared_ptr<Past>& newest) {
  newest->last_read = ++reads_;
  std::vector<std::shared_ptr<Past>> others;
  size_t bytes = newest->bytes;
  for (const auto& one : pasts_) {
    if (auto past = one.lock(); past != nullptr && !past->dropped) {
      bytes += past->bytes;
      others.push_back(std::move(past));
    }
  }
  std::sort(others.begin(), others.end(), [](const auto& a, const auto& b) {
    return a->last_read < b->last_read;
  });
  pasts_ = {newest};
  for (const auto& past : others) {
    if (bytes > options_.max_missed_bytes) {
      bytes -= past->bytes;
      past->events = {};
      past->dropped = true;
    } else {
      pasts_.push_back(past);
    }
  }
}

void TokenEvents::TellReaders(const std::stop_token& stop) {
  absl::Time next_tick = ExecutionNow() + options_.tick;
  while (!stop.stop_requested()) {
    std::vector<std::shared_ptr<Reader>> readers;
    bool news = false;
    bool tick = false;
    {
      const MutexLock lock(mutex_);
      while (!stop.stop_requested() && !news_ && ExecutionNow() < next_tick) {
        const absl::Duration left = next_tick - ExecutionNow();
        looks_again_ = merge_.holding();
        wake_teller_.WaitFor(
            mutex_, looks_again_ ? std::min(left, kHoldingTick) : left);
        looks_again_ = false;
        if (merge_.holding()) Publish();
      }
      news = std::exchange(news_, false);
      tick = ExecutionNow() >= next_tick;
      if (tick) next_tick = ExecutionNow() + options_.tick;
      readers.reserve(readers_.size());
      for (const auto& [key, reader] : readers_) readers.push_back(reader);
    }
    for (const auto& reader : readers) {
      if (stop.stop_requested()) return;
      if (tick) reader->OnTick();
      if (news) reader->OnNews();
    }
  }
}

void TokenEvents::ServeRequests(const std::stop_token& stop) {
  while (true) {
    std::vector<std::shared_ptr<Request>> requests;
    EventCut from;
    EventCut to;
    uint64_t epoch = 0;
    Reservations known;
    {
      const MutexLock lock(mutex_);
      // Of those whose reader has gone nobody hears any more.
      std::erase_if(requests_, [](const std::shared_ptr<Request>& request) {
        return request.use_count() == 1;
      });
      while (!stop.stop_requested() && requests_.empty()) {
        wake_server_.Wait(mutex_);
      }
      if (stop.stop_requested()) return;
      requests = std::exchange(requests_, {});
      from = requests.front()->from;
      for (const auto& request : requests) {
        from = {.records = std::min(from.records, request->from.records),
                .csrs = std::min(from.csrs, request->from.csrs)};
      }
      to = base_;
      epoch = epoch_;
      known = merge_.Known();
    }
    MissedEvents missed =
        CollectMissedEvents(options_.missed, client_, from, to, known, stop);
    LogEvent(missed.status.ok() ? LogLevel::kInfo : LogLevel::kWarning,
             "missed events collected",
             {{"watches", std::to_string(requests.size())},
              {"events", std::to_string(missed.events.size())},
              {"status", missed.status.ToString()}});
    const MutexLock lock(mutex_);
    Answer(std::move(requests), from, to, epoch, std::move(missed));
  }
}

void TokenEvents::Answer(std::vector<std::shared_ptr<Request>> requests,
                         EventCut from, EventCut to, uint64_t epoch,
                         MissedEvents missed) {
  const auto past = std::make_shared<Past>();
  past->events = std::move(missed.events);
  for (const VersionedEvent& event : past->events) {
    past->bytes += BytesOf(*event.event);
  }
  Keep(past);
  for (auto& request : requests) {
    // What is too old for the server is so for those who asked for the oldest;
    // the others may have better luck. A server that is away may remember.
    const bool too_many = !request->from.Covers(missed.complete_from);
    const bool better_luck =
        absl::IsOutOfRange(missed.status) &&
        request->from.of(missed.failed) != from.of(missed.failed);
    if (!too_many && (better_luck || absl::IsDeadlineExceeded(missed.status))) {
      requests_.push_back(std::move(request));
      continue;
    }
    if (too_many) {
      request->gap = GapCause::kTooMuch;
    } else if (!missed.status.ok()) {
      request->gap = absl::IsOutOfRange(missed.status) ? GapCause::kCursorTooOld
                                                       : GapCause::kUnknown;
    }
    request->past = past;
    request->to = to;
    request->epoch = epoch;
    request->done = true;
  }
  news_ = true;
  wake_teller_.SignalAll();
}

}  // namespace latchkey
