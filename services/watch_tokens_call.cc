#include "services/watch_tokens_call.h"

#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/fault_point.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "core/status_macros.h"
#include "services/grpc_status.h"
#include "services/token_messages.h"
#include "services/watch_cursor.h"
#include "storage/token_filter.h"

namespace latchkey {
namespace {

v1::TokenEvent::Type ToMessage(TokenEventType type) {
  switch (type) {
    case TokenEventType::kIssued:
      return v1::TokenEvent::ISSUED;
    case TokenEventType::kClaimed:
      return v1::TokenEvent::CLAIMED;
    case TokenEventType::kReserved:
      return v1::TokenEvent::RESERVED;
    case TokenEventType::kApproved:
      return v1::TokenEvent::APPROVED;
    case TokenEventType::kJoined:
      return v1::TokenEvent::JOINED;
    case TokenEventType::kRefused:
      return v1::TokenEvent::REFUSED;
    case TokenEventType::kRevoked:
      return v1::TokenEvent::REVOKED;
    case TokenEventType::kExpired:
      return v1::TokenEvent::EXPIRED;
    case TokenEventType::kExtended:
      return v1::TokenEvent::EXTENDED;
    case TokenEventType::kReleased:
      return v1::TokenEvent::RELEASED;
    case TokenEventType::kRemoved:
      return v1::TokenEvent::REMOVED;
  }
  return v1::TokenEvent::TYPE_UNSPECIFIED;
}

v1::Gap::Cause ToMessage(GapCause cause) {
  switch (cause) {
    case GapCause::kReadTooSlowly:
      return v1::Gap::READ_TOO_SLOWLY;
    case GapCause::kCursorTooOld:
      return v1::Gap::CURSOR_TOO_OLD;
    case GapCause::kCursorAhead:
      return v1::Gap::CURSOR_AHEAD;
    case GapCause::kTooMuch:
      return v1::Gap::TOO_MUCH;
    case GapCause::kWatchInterrupted:
      return v1::Gap::WATCH_INTERRUPTED;
    case GapCause::kUnknown:
      return v1::Gap::UNKNOWN;
  }
  return v1::Gap::CAUSE_UNSPECIFIED;
}

// The cause for people.
std::string_view GapReason(GapCause cause) {
  switch (cause) {
    case GapCause::kReadTooSlowly:
      return "this client read too slowly";
    case GapCause::kCursorTooOld:
      return "the cursor is older than what the cluster remembers";
    case GapCause::kCursorAhead:
      return "the cursor is of another cluster, or of its future";
    case GapCause::kTooMuch:
      return "too much happened since the cursor";
    case GapCause::kWatchInterrupted:
      return "the broker's own watch was interrupted";
    case GapCause::kUnknown:
      break;
  }
  return "the cluster could not tell what happened since the cursor";
}

// What is asked for, in domain types.
struct Wanted {
  TokenFilter filter;
  std::optional<EventCut> cursor;
};

absl::StatusOr<Wanted> FromRequest(const v1::WatchTokensRequest& request) {
  Wanted wanted;
  LATCHKEY_ASSIGN_OR_RETURN(wanted.filter, FromMessage(request.filter()));
  if (!request.cursor().empty()) {
    LATCHKEY_ASSIGN_OR_RETURN(wanted.cursor, ParseCursor(request.cursor()));
  }
  return wanted;
}

absl::Status TooMany(std::string_view whose, size_t limit) {
  return Refuse(absl::StatusCode::kResourceExhausted, reason::kTooManyWatches,
                fmt::format("{} {} watches open already", whose, limit),
                {{"limit", std::to_string(limit)}});
}

absl::Status Stopping() {
  return Refuse(
      absl::StatusCode::kUnavailable, reason::kBrokerStopping,
      "the broker is stopping; go on at another with the last cursor");
}

absl::Status NoRule(const Identity& caller) {
  return Refuse(absl::StatusCode::kPermissionDenied, reason::kPolicyDenied,
                fmt::format("no policy rule is for {}", caller.name));
}

}  // namespace

// One stream. It holds itself until OnDone(), as gRPC does; the teller of
// events while it calls; and the set of streams from Admit() on.
class TokenWatches::Stream final : public WatchReactor,
                                   public TokenEvents::Reader {
 public:
  Stream(TokenWatches& watches, absl::StatusOr<Wanted> wanted)
      : watches_(watches), wanted_(std::move(wanted)) {}

  // What is asked for, or what is wrong with it.
  const absl::StatusOr<Wanted>& wanted() const { return wanted_; }
  void HoldItself(StreamPtr self) { self_ = std::move(self); }

  // From here on OnDone() makes it leave, however it ends.
  void NoteEntered(WatchCaller caller) {
    const MutexLock lock(mutex_);
    entered_ = true;
    caller_ = std::move(caller.who.identity);
    believed_until_ = caller.who.expires;
    ask_again_ = std::move(caller.ask_again);
  }
  // Lets it tell.
  void Start() {
    {
      const MutexLock lock(mutex_);
      position_.emplace(watches_.events_.Begin(wanted_->cursor));
    }
    Pump();
  }
  void RefuseWith(const grpc::Status& status) {
    {
      const MutexLock lock(mutex_);
      if (finished_) return;
      finished_ = true;
    }
    Finish(status);
  }

  // Tells what there is to tell, if nothing is on its way.
  void Pump() {
    const MutexLock lock(mutex_);
    // Until it is started it tells nothing, and does not end either, though the
    // client be gone: Start() or Refuse() is to come, and does that.
    if (!position_.has_value() || writing_ || asking_ || finished_) return;
    if (!end_.has_value() && watches_.clock_.Now() >= believed_until_) {
      if (AskAgain()) return;
    }
    if (!end_.has_value() && Reach() == Reach::kNone) end_ = NoRule(caller_);
    if (end_.has_value()) {
      finished_ = true;
      Finish(ToGrpcStatus(*end_));
      return;
    }
    if (!Pack()) return;
    response_.set_cursor(FormatCursor(position_->cut()));
    writing_ = true;
    StartWrite(&response_);
  }

  // Ends it with `status` as soon as nothing is on its way.
  void End(const absl::Status& status) {
    {
      const MutexLock lock(mutex_);
      if (!end_.has_value()) end_ = status;
    }
    Pump();
  }

  void OnNews() override { Pump(); }
  void OnTick() override {
    {
      const MutexLock lock(mutex_);
      progress_due_ = true;
    }
    Pump();
  }

  void OnWriteDone(bool ok) override {
    {
      const MutexLock lock(mutex_);
      writing_ = false;
      if (!ok && !end_.has_value()) end_ = CallerGone();
    }
    Pump();
  }
  void OnCancel() override { End(CallerGone()); }
  void OnDone() override {
    const StreamPtr last = std::move(self_);  // may be the last to hold it
    bool entered = false;
    std::string caller;
    {
      const MutexLock lock(mutex_);
      entered = entered_;
      caller = caller_.name;
    }
    if (entered) watches_.Leave(this, caller);
  }

 private:
  // Has another thread ask who the caller is. Until it has, the stream does not
  // finish: what it asks with is gRPC's, and goes with the stream. False, and
  // how it ends is known, if it cannot be asked.
  bool AskAgain() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    asking_ = watches_.checks_.TrySubmit(
        caller_.name, [self = self_] { self->OnAnswer(self->ask_again_()); });
    if (!asking_) end_ = absl::ResourceExhaustedError("no room to ask again");
    return asking_;
  }
  void OnAnswer(absl::StatusOr<TimedIdentity> answer) {
    {
      const MutexLock lock(mutex_);
      asking_ = false;
      if (answer.ok()) {
        // Its name is the credential's, and stays.
        caller_.attributes = std::move(answer->identity.attributes);
        believed_until_ = answer->expires;
        judged_by_ = nullptr;
      } else if (!end_.has_value()) {
        end_ = answer.status();
      }
    }
    Pump();
  }
  // Fills the response with what comes next; false if there is nothing.
  bool Pack() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    response_.Clear();
    while (true) {
      const TokenEvents::News news = watches_.events_.Next(*position_);
      switch (news.kind) {
        case TokenEvents::News::Kind::kGap:
          response_.mutable_gap()->set_cause(ToMessage(news.gap));
          response_.mutable_gap()->set_reason(std::string(GapReason(news.gap)));
          return true;
        case TokenEvents::News::Kind::kEvent:
          if (!MayTell(news.event->record)) continue;
          response_.mutable_event()->set_type(ToMessage(news.event->type));
          latchkey::ToMessage(news.event->record,
                              *response_.mutable_event()->mutable_token());
          return true;
        case TokenEvents::News::Kind::kNothing:
          if (!progress_due_ || !position_->started()) return false;
          progress_due_ = false;
          response_.mutable_progress();
          return true;
      }
    }
  }
  bool MayTell(const TokenRecord& record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return (record.provisioner == caller_.name || Reach() == Reach::kAll) &&
           wanted_->filter.Matches(record);
  }
  enum Reach Reach() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    auto policy = watches_.policy_.Current();
    if (policy != judged_by_) {
      judged_by_ = std::move(policy);
      reach_ = judged_by_->ReachOf(caller_);
    }
    return reach_;
  }

  TokenWatches& watches_;
  const absl::StatusOr<Wanted> wanted_;
  StreamPtr self_;

  Mutex mutex_;
  Identity caller_ ABSL_GUARDED_BY(mutex_);
  absl::Time believed_until_ ABSL_GUARDED_BY(mutex_);
  // Set before it can be asked, and never changed.
  std::function<absl::StatusOr<TimedIdentity>()> ask_again_;
  bool asking_ ABSL_GUARDED_BY(mutex_) = false;
  bool entered_ ABSL_GUARDED_BY(mutex_) = false;
  // None before it has begun.
  std::optional<TokenEvents::Position> position_ ABSL_GUARDED_BY(mutex_);
  v1::WatchTokensResponse response_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Policy> judged_by_ ABSL_GUARDED_BY(mutex_);
  enum Reach reach_ ABSL_GUARDED_BY(mutex_) = Reach::kNone;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool progress_due_ ABSL_GUARDED_BY(mutex_) = true;
  // How it is to end, and that it was told so.
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

TokenWatches::StreamPtr TokenWatches::Prepare(
    const v1::WatchTokensRequest& request) {
  auto stream = std::make_shared<Stream>(*this, FromRequest(request));
  stream->HoldItself(stream);
  return stream;
}

WatchReactor* TokenWatches::ReactorOf(const StreamPtr& stream) {
  return stream.get();
}

void TokenWatches::Refuse(const StreamPtr& stream, const grpc::Status& status) {
  stream->RefuseWith(status);
}

absl::Status TokenWatches::Admit(const StreamPtr& stream, WatchCaller caller) {
  const Identity& identity = caller.who.identity;
  if (policy_.Current()->ReachOf(identity) == Reach::kNone) {
    return NoRule(identity);
  }
  LATCHKEY_RETURN_IF_ERROR(stream->wanted().status());
  LATCHKEY_RETURN_IF_ERROR(Enter(stream, identity.name));
  stream->NoteEntered(std::move(caller));
  return absl::OkStatus();
}

void TokenWatches::Start(const StreamPtr& stream) {
  // Before it can end: Leave() takes it out again, and must not come first.
  events_.Add(stream);
  FaultPoint("watches.added");
  stream->Start();
}

absl::Status TokenWatches::Enter(const std::shared_ptr<Stream>& stream,
                                 const std::string& caller) {
  const MutexLock lock(mutex_);
  if (stopping_) return Stopping();
  if (streams_.size() >= options_.max_streams) {
    return TooMany("all callers have", options_.max_streams);
  }
  size_t& of_this = of_caller_[caller];
  if (of_this >= options_.max_streams_of_one) {
    return TooMany("this caller has", options_.max_streams_of_one);
  }
  ++of_this;
  streams_.emplace(stream.get(), stream);
  return absl::OkStatus();
}

void TokenWatches::Leave(const Stream* stream, const std::string& caller) {
  events_.Remove(stream);
  std::shared_ptr<Stream> last;  // goes without the lock
  const MutexLock lock(mutex_);
  const auto of_this = of_caller_.find(caller);
  if (--of_this->second == 0) of_caller_.erase(of_this);
  const auto it = streams_.find(stream);
  last = std::move(it->second);
  streams_.erase(it);
}

void TokenWatches::Stop() {
  std::vector<std::shared_ptr<Stream>> streams;
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    for (const auto& [key, stream] : streams_) streams.push_back(stream);
  }
  for (const auto& stream : streams) stream->End(Stopping());
}

size_t TokenWatches::streams() const {
  const MutexLock lock(mutex_);
  return streams_.size();
}

}  // namespace latchkey
