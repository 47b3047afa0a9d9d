// The streams of TokenBroker.WatchTokens: each tells its caller what happens to
// the tokens that it may see. No stream has a thread.

#ifndef LATCHKEY_SERVICES_WATCH_TOKENS_CALL_H_
#define LATCHKEY_SERVICES_WATCH_TOKENS_CALL_H_

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <grpcpp/support/server_callback.h>

#include "core/clock.h"
#include "core/mutex.h"
#include "latchkey/v1/token_broker.pb.h"
#include "policy/identity.h"
#include "policy/live_policy.h"
#include "services/fair_queue.h"
#include "services/token_events.h"

namespace latchkey {

using WatchReactor = grpc::ServerWriteReactor<v1::WatchTokensResponse>;

// Whose a stream is.
struct WatchCaller {
  // Nothing is told after `expires` without asking again.
  TimedIdentity who;
  // The same caller, judged anew. May block; called from another thread, until
  // the stream's OnDone().
  std::function<absl::StatusOr<TimedIdentity>()> ask_again;
};

// Safe for concurrent use.
class TokenWatches {
 public:
  struct Options {
    // Streams at once; of all callers, and of one.
    size_t max_streams = 8192;
    size_t max_streams_of_one = 256;
  };

  // All must outlive this, and this must outlive the gRPC server.
  TokenWatches(Options options, TokenEvents& events, const LivePolicy& policy,
               const Clock& clock)
      : options_(options),
        events_(events),
        policy_(policy),
        clock_(clock),
        checks_({.threads = kCheckThreads,
                 .max_waiting = options.max_streams,
                 .max_waiting_of_one = options.max_streams_of_one}) {}
  TokenWatches(const TokenWatches&) = delete;
  TokenWatches& operator=(const TokenWatches&) = delete;

  class Stream;
  using StreamPtr = std::shared_ptr<Stream>;

  // A stream that has not begun: it is not known yet whose it is. gRPC may have
  // its reactor at once. Start(), after an Admit() that was OK, or Refuse()
  // must follow, once.
  StreamPtr Prepare(const v1::WatchTokensRequest& request);
  static WatchReactor* ReactorOf(const StreamPtr& stream);

  // Ends a stream that was not started, admitted or not.
  void Refuse(const StreamPtr& stream, const grpc::Status& status);

  // Takes the stream in for `caller`; nothing is told yet. An error, and
  // Refuse() is to follow:
  //   INVALID_FIELD (kInvalidArgument), TOO_MANY_WATCHES (kResourceExhausted)
  //   POLICY_DENIED (kPermissionDenied) if no rule is for the caller
  //   BROKER_STOPPING (kUnavailable) after Stop()
  absl::Status Admit(const StreamPtr& stream, WatchCaller caller);

  // Begins a stream that was admitted. It ends when the caller cancels it, at
  // Stop(), either of which may have come before, and with POLICY_DENIED when
  // no rule is for the caller any more: what it may see is judged by the policy
  // as it is at each event. And by the caller's credential: once `who` has
  // expired, the caller is asked for again before anything more is told, at the
  // next event or tick, and the stream ends with what a call would hear then:
  // UNAUTHENTICATED if the credential has expired or was taken back. Events and
  // cursors are those of WatchTokensResponse; Progress comes at the start and
  // with each tick of TokenEvents.
  void Start(const StreamPtr& stream);

  // Ends all streams, and refuses new ones from now on. Returns at once.
  void Stop();

  size_t streams() const;

 private:
  // They wait for the API server, where ServiceAccounts are asked for again.
  static constexpr size_t kCheckThreads = 4;

  absl::Status Enter(const StreamPtr& stream, const std::string& caller);
  void Leave(const Stream* stream, const std::string& caller);

  const Options options_;
  TokenEvents& events_;
  const LivePolicy& policy_;
  const Clock& clock_;

  mutable Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<const Stream*, std::shared_ptr<Stream>> streams_
      ABSL_GUARDED_BY(mutex_);
  std::map<std::string, size_t> of_caller_ ABSL_GUARDED_BY(mutex_);
  // Asks again who callers are: at most one task a stream, so that none is ever
  // refused for want of room.
  FairQueue checks_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_WATCH_TOKENS_CALL_H_
