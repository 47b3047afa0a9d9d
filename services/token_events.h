// Tells any number of readers what happens to tokens, from where each stands.
//
//   records ---+                  +--> reader, at its own position
//              +--> EventMerge --> ring
//   CSRs ------+                  +--> reader
//                                 +--> missed events --> reader that resumes
//
// The ring keeps the events of the last while. A reader that is slow falls out
// of it and is told so (a gap); it holds nobody up. One that resumes from
// before the ring is given what it missed from a watch of our own in the past;
// one such watch at a time, for all who wait.

#ifndef LATCHKEY_SERVICES_TOKEN_EVENTS_H_
#define LATCHKEY_SERVICES_TOKEN_EVENTS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <absl/time/time.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "core/mutex.h"
#include "core/thread.h"
#include "services/event_merge.h"
#include "services/missed_events.h"
#include "services/token_event.h"
#include "storage/token_record.h"

namespace latchkey {

// Why events are missing.
enum class GapCause {
  kReadTooSlowly,
  kCursorTooOld,
  kCursorAhead,
  kTooMuch,
  kWatchInterrupted,
  kUnknown,
};

// Safe for concurrent use.
class TokenEvents {
 public:
  struct Options {
    // What the ring keeps.
    size_t max_events = 16 << 10;
    size_t max_bytes = 16 << 20;
    // See EventMerge.
    absl::Duration patience = absl::Seconds(10);
    // How often OnTick() is called.
    absl::Duration tick = absl::Minutes(1);
    // How long a cursor may be ahead of our own watches. Another replica's
    // watch, or its last bookmark, is ahead by a minute at most, so such a
    // cursor is of another cluster, or of this one before it was restored.
    absl::Duration max_ahead = absl::Minutes(3);
    MissedEventsOptions missed = {};
    // What may be kept of the past, for all readers that are being told what
    // they missed. More, and those that have read nothing of theirs for longest
    // are told of a gap instead.
    size_t max_missed_bytes = 64 << 20;
  };

  // Where one reader stands. Its own; for one thread at a time.
  class Position {
   public:
    // What it has been told, or has asked to go on from. Means nothing before
    // started().
    const EventCut& cut() const { return cut_; }
    // False until the watches are up and, for one that resumes, until it is
    // known what it missed.
    bool started() const { return started_; }

   private:
    friend class TokenEvents;
    // One look into the past, for all who asked for it.
    struct Past {
      std::vector<VersionedEvent> events;
      size_t bytes = 0;
      uint64_t last_read = 0;  // by anybody; see TokenEvents::reads_
      bool dropped = false;
    };
    struct Request {
      EventCut from;
      bool done = false;
      std::optional<GapCause> gap;  // in place of the past
      std::shared_ptr<Past> past;
      EventCut to;
      uint64_t epoch = 0;
    };
    bool has_cursor_ = false;
    bool started_ = false;
    EventCut cut_;
    std::shared_ptr<Request> request_;
    size_t next_missed_ = 0;
    uint64_t epoch_ = 0;
    uint64_t next_ = 0;  // the ring's next entry for it
    absl::Time ahead_since_ = absl::InfiniteFuture();
  };

  struct News {
    enum class Kind { kNothing, kEvent, kGap };
    Kind kind = Kind::kNothing;
    std::shared_ptr<const TokenEvent> event;
    GapCause gap = GapCause::kUnknown;  // of a gap
  };

  // Both are called on a thread of this object's, with no lock held, one at a
  // time; they must not block.
  class Reader {
   public:
    virtual ~Reader() = default;
    // Next() may have something.
    virtual void OnNews() = 0;
    virtual void OnTick() = 0;
  };

  // `client` answers for missed events; it must outlive this, and should not be
  // one that retries.
  TokenEvents(Options options, KubernetesClient& client);
  TokenEvents(const TokenEvents&) = delete;
  TokenEvents& operator=(const TokenEvents&) = delete;
  ~TokenEvents();

  // Called from now on; kept until Remove(), or a call in hand, is over.
  void Add(std::shared_ptr<Reader> reader);
  void Remove(const Reader* reader);

  // From `cursor` on, or from the first Next() on.
  static Position Begin(std::optional<EventCut> cursor);
  // The next event after `position`, which moves on; each once, and in the
  // order that EventMerge gives.
  News Next(Position& position);

  // What the watches show, each source on one thread. A list after the first
  // is a gap for everybody. Versions that are no numbers are passed over.
  void RecordsListed(const std::vector<StoredToken>& tokens,
                     std::string_view version);
  // `news` is false for a write that changed nothing of the token's life.
  void RecordWritten(const StoredToken& token, bool news);
  void RecordRemoved(const StoredToken& token);
  void CsrsListed(
      const std::vector<kubernetes::CertificateSigningRequest>& csrs,
      std::string_view version);
  void CsrWritten(const kubernetes::CertificateSigningRequest& csr);
  // The watch has come so far, and nothing happened that is news.
  void PassedBy(EventSource source, std::string_view version);

 private:
  using Past = Position::Past;
  using Request = Position::Request;

  void Publish() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A source begins anew at a list of `version`.
  void Restart(EventSource listed, std::string_view version)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool ready() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return records_listed_ && csrs_listed_;
  }
  uint64_t RingEnd() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return first_ + ring_.size();
  }
  // False while `position` has to wait.
  bool Start(Position& position) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  News NextMissed(Position& position) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  News NextLive(Position& position) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Moves `position` to the present.
  News Gap(Position& position, GapCause why)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void TellReaders(const std::stop_token& stop);
  void ServeRequests(const std::stop_token& stop);
  // Answers those of `requests` that `missed` answers; the others wait again.
  void Answer(std::vector<std::shared_ptr<Request>> requests, EventCut from,
              EventCut to, uint64_t epoch, MissedEvents missed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Keeps `newest` too, and drops others until all are within the limit.
  void Keep(const std::shared_ptr<Past>& newest)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  KubernetesClient& client_;

  Mutex mutex_;
  CondVar wake_teller_;
  CondVar wake_server_;
  EventMerge merge_ ABSL_GUARDED_BY(mutex_);
  std::deque<VersionedEvent> ring_ ABSL_GUARDED_BY(mutex_);
  size_t ring_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t first_ ABSL_GUARDED_BY(mutex_) = 0;  // number of ring_.front()
  // The ring has all that happened between these two.
  EventCut base_ ABSL_GUARDED_BY(mutex_);
  EventCut head_ ABSL_GUARDED_BY(mutex_);
  // Another whenever a list broke the thread of events.
  uint64_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;
  bool records_listed_ ABSL_GUARDED_BY(mutex_) = false;
  bool csrs_listed_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::shared_ptr<Request>> requests_ ABSL_GUARDED_BY(mutex_);
  // Those that somebody still reads, or has not read to the end.
  std::vector<std::weak_ptr<Past>> pasts_ ABSL_GUARDED_BY(mutex_);
  uint64_t reads_ ABSL_GUARDED_BY(mutex_) = 0;  // of any of them
  std::map<const Reader*, std::shared_ptr<Reader>> readers_
      ABSL_GUARDED_BY(mutex_);
  bool news_ ABSL_GUARDED_BY(mutex_) = false;
  // The teller waits for no longer than what is held up may take.
  bool looks_again_ ABSL_GUARDED_BY(mutex_) = false;

  std::stop_source stop_;
  std::vector<Thread> threads_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_TOKEN_EVENTS_H_
