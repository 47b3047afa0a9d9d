// What every call runs in, as declared in services/rpc_table.h: who is it, does
// it come too often, is there room, do it, write down what was decided, count
// it, answer.
//
//   return frame_.Unary(*context, Rpc::kGetToken, [=, this](Call& call) {
//     return GetToken(call, *request, *response);
//   });
//
// Nothing here blocks a thread of gRPC.

#ifndef LATCHKEY_SERVICES_CALL_FRAME_H_
#define LATCHKEY_SERVICES_CALL_FRAME_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <grpcpp/grpcpp.h>

#include "audit/audit_log.h"
#include "core/clock.h"
#include "policy/identity.h"
#include "services/broker_metrics.h"
#include "services/fair_queue.h"
#include "services/rate_limiter.h"
#include "services/refusal_tally.h"
#include "services/rpc_table.h"
#include "storage/token_record.h"

namespace latchkey {

// Who calls, by what came with the call. Safe for concurrent use.
class CallAuthenticator {
 public:
  CallAuthenticator() = default;
  CallAuthenticator(const CallAuthenticator&) = delete;
  CallAuthenticator& operator=(const CallAuthenticator&) = delete;
  virtual ~CallAuthenticator() = default;

  // The answer, if it is known without asking anybody.
  virtual std::optional<absl::StatusOr<TimedIdentity>> Known(
      const grpc::CallbackServerContext& context) = 0;
  // May block. UNAUTHENTICATED (kUnauthenticated) for whoever cannot be
  // identified; which check failed, its message says, for the operator: one of
  // a few texts, with nothing of what came in it.
  virtual absl::StatusOr<TimedIdentity> Authenticate(
      const grpc::CallbackServerContext& context) = 0;
};

// One call in hand, as its body sees it.
struct Call {
  // Empty where a ticket is the credential.
  Identity identity;
  // A call that lasts must ask again then: see `ask_again`.
  absl::Time identity_expires = absl::InfiniteFuture();
  // Of a stream: who calls, judged anew (CallAuthenticator::Authenticate). May
  // block. For as long as the stream is not done.
  std::function<absl::StatusOr<TimedIdentity>()> ask_again;
  // gRPC's name of the peer: an address and a port.
  std::string peer;
  // What the body adds to the call's audit record: all but action, verdict,
  // reason, identity and peer, which the frame fills in. A body that allowed
  // what the policy would have denied, were it not observing, sets verdict and
  // reason too.
  AuditEvent audit;
  // Decisions of their own within this call (a batch): a record each, before
  // the call's own.
  std::vector<AuditEvent> items;
  // How those of them that are mints ended, whether the answer reaches the
  // caller or is withheld.
  struct ItemEnd {
    absl::StatusCode code;
    std::string reason;
    absl::Duration took;
  };
  std::vector<ItemEnd> item_ends;
};

// Notes in `event` which token a decision is about.
void NoteToken(const TokenRecord& record, std::string_view uid,
               AuditEvent& event);

// Notes in `event` that it was refused, and why. `shown`: as the caller sees it
// (PublicStatus in services/grpc_status.h).
void NoteRefusal(const absl::Status& shown, AuditEvent& event);

// One a port. Safe for concurrent use.
class CallFrame {
 public:
  // Runs on a thread of the frame's queue, and may block. What it answers is
  // the answer of the call.
  using Body = std::function<absl::Status(Call&)>;

  struct Options {
    FairQueue::Options queue;
    // For callers that are not known yet.
    FairQueue::Options authentication = {
        .threads = 4, .max_waiting = 256, .max_waiting_of_one = 32};
    // RpcLimit::kPeer, for each peer.
    Rate peer_rate{.per_second = 100, .burst = 1000};
    // RpcLimit::kProvisioner: by the policy; absent: as often as it likes.
    struct CallerRate {
      Rate rate;
      // To call more often is logged, counted and recorded, not refused.
      bool observed = false;
    };
    std::function<std::optional<CallerRate>(const Identity&)> rate_of;
    RefusalTally::Options refusals;
  };

  // All must outlive this.
  CallFrame(Options options, CallAuthenticator& authenticator, AuditLog& audit,
            BrokerMetrics& metrics, const Clock& clock);
  CallFrame(const CallFrame&) = delete;
  CallFrame& operator=(const CallFrame&) = delete;
  // Ends the calls in hand.
  ~CallFrame();

  // Runs `body`, unless the call is refused before: UNAUTHENTICATED;
  // RATE_LIMITED and OVERLOADED (RESOURCE_EXHAUSTED), with a RetryInfo that
  // differs from caller to caller; AUDIT_UNAVAILABLE (UNAVAILABLE). A call that
  // its client has given up by then is not begun. If what was done cannot be
  // recorded, the answer is withheld: AUDIT_UNAVAILABLE. `items`: what the call
  // costs, where the RPC's cost is RpcCost::kItem.
  grpc::ServerUnaryReactor* Unary(grpc::CallbackServerContext& context, Rpc rpc,
                                  Body body, int items = 1);

  // The same up to the start of a stream: `admit` decides, and when that is
  // recorded `start` begins it, so that nothing is told before. `refuse` is
  // called instead if it is not to begin. Either is called once, from any
  // thread.
  void Stream(grpc::CallbackServerContext& context, Rpc rpc, Body admit,
              std::function<void()> start,
              std::function<void(const grpc::Status&)> refuse);

  FairQueue::Load load() const { return queue_.load(); }

 private:
  struct InHand;
  using CallPtr = std::shared_ptr<InHand>;

  void Begin(const CallPtr& call);
  void Admit(const CallPtr& call, absl::StatusOr<TimedIdentity> caller);
  absl::Status CheckRate(InHand& call);
  // What the tally says of a call, but for why it is refused; and adds that.
  // Answers what the caller hears of `status`.
  static AuditEvent EventOf(const InHand& call);
  absl::Status Count(AuditEvent event, const absl::Status& status);
  // Nothing was done for it.
  void Refuse(const CallPtr& call, const absl::Status& status);
  void Run(const CallPtr& call);
  absl::Status Record(InHand& call, const absl::Status& status);
  void End(const CallPtr& call, const absl::Status& status);

  const Options options_;
  CallAuthenticator& authenticator_;
  AuditLog& audit_;
  BrokerMetrics& metrics_;
  const Clock& clock_;
  RateLimiter limiter_;
  RateLimiter observed_lines_;  // of the log
  RefusalTally refusals_;
  FairQueue queue_;
  FairQueue authentication_;  // feeds queue_, so it goes first
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_CALL_FRAME_H_
