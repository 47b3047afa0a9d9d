#include "services/call_frame.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "clients/log/event_log.h"
#include "core/execution.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "services/grpc_status.h"
#include "services/observed_refusal.h"
#include "services/peer_key.h"

namespace latchkey {
namespace {

// Of the log, for a caller that comes more often than the policy would allow.
constexpr Rate kLinesOfOne{.per_second = 0.1, .burst = 1};

// Denied by a rule, or failed because something did not answer or had too much
// to do.
AuditVerdict VerdictOf(const absl::Status& status) {
  if (ReasonOf(status) == reason::kOverloaded) return AuditVerdict::kFailed;
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return AuditVerdict::kAllowed;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kCancelled:
      return AuditVerdict::kFailed;
    default:
      return AuditVerdict::kDenied;
  }
}

}  // namespace

void NoteRefusal(const absl::Status& shown, AuditEvent& event) {
  event.verdict = VerdictOf(shown);
  event.reason = ReasonOf(shown);
  for (const auto& [key, value] : MetadataOf(shown)) {
    if (key == "rule") {
      if (event.rule.empty()) event.rule = value;
    } else if (key == "token") {
      if (event.token_id.empty()) event.token_id = value;
    } else {
      event.facts.try_emplace(key, value);
    }
  }
}

void NoteToken(const TokenRecord& record, std::string_view uid,
               AuditEvent& event) {
  event.rule = record.rule;
  event.token_id = record.id.text();
  event.token_uid = std::string(uid);
  event.facts["node"] = record.scope.node_name;
  event.facts["delivery"] = std::string(DeliveryName(record.delivery));
}

struct CallFrame::InHand {
  const RpcDeclaration& rpc;
  grpc::CallbackServerContext& context;
  Body body;
  int items;
  std::function<void(const absl::Status&)> finish;
  bool lasts = false;
  absl::Time begun = ExecutionNow();
  std::string queue_key = {};
  // Not OK: what it would be refused with, did the policy not only observe.
  absl::Status observed = {};
  Call call = {};
};

CallFrame::CallFrame(Options options, CallAuthenticator& authenticator,
                     AuditLog& audit, BrokerMetrics& metrics,
                     const Clock& clock)
    : options_(std::move(options)),
      authenticator_(authenticator),
      audit_(audit),
      metrics_(metrics),
      clock_(clock),
      refusals_(options_.refusals, audit),
      queue_(options_.queue),
      authentication_(options_.authentication) {}

CallFrame::~CallFrame() = default;

grpc::ServerUnaryReactor* CallFrame::Unary(grpc::CallbackServerContext& context,
                                           Rpc rpc, Body body, int items) {
  grpc::ServerUnaryReactor* reactor = context.DefaultReactor();
  Begin(std::make_shared<InHand>(
      InHand{.rpc = DeclarationOf(rpc),
             .context = context,
             .body = std::move(body),
             .items = items,
             .finish = [reactor](const absl::Status& status) {
               reactor->Finish(ToGrpcStatus(status));
             }}));
  return reactor;
}

void CallFrame::Stream(grpc::CallbackServerContext& context, Rpc rpc,
                       Body admit, std::function<void()> start,
                       std::function<void(const grpc::Status&)> refuse) {
  Begin(std::make_shared<InHand>(
      InHand{.rpc = DeclarationOf(rpc),
             .context = context,
             .body = std::move(admit),
             .items = 1,
             .finish =
                 [start = std::move(start),
                  refuse = std::move(refuse)](const absl::Status& status) {
                   if (status.ok()) {
                     start();
                   } else {
                     refuse(ToGrpcStatus(status));
                   }
                 },
             .lasts = true}));
}

void CallFrame::Begin(const CallPtr& call) {
  call->call.peer = call->context.peer();
  if (call->rpc.authentication == RpcAuthentication::kTicket) {
    Admit(call, TimedIdentity{});
    return;
  }
  if (auto known = authenticator_.Known(call->context)) {
    Admit(call, *std::move(known));
    return;
  }
  const bool accepted =
      authentication_.TrySubmit(PeerKey(call->call.peer), [this, call] {
        Admit(call, authenticator_.Authenticate(call->context));
      });
  if (!accepted) Refuse(call, Overloaded());
}

void CallFrame::Admit(const CallPtr& call,
                      absl::StatusOr<TimedIdentity> caller) {
  if (!caller.ok()) {
    Refuse(call, caller.status());
    return;
  }
  call->call.identity = std::move(caller->identity);
  call->call.identity_expires = caller->expires;
  if (call->lasts) {
    // Without the call itself, which would hold itself.
    call->call.ask_again =
        [this, &context = call->context,
         event = EventOf(*call)]() -> absl::StatusOr<TimedIdentity> {
      absl::StatusOr<TimedIdentity> again =
          authenticator_.Authenticate(context);
      if (!again.ok()) return Count(event, again.status());
      return again;
    };
  }
  call->queue_key = call->rpc.limit == RpcLimit::kPeer
                        ? PeerKey(call->call.peer)
                        : call->call.identity.name;
  if (const absl::Status allowed = CheckRate(*call); !allowed.ok()) {
    Refuse(call, allowed);
    return;
  }
  if (!queue_.TrySubmit(call->queue_key, [this, call] { Run(call); })) {
    Refuse(call, Overloaded());
  }
}

absl::Status CallFrame::CheckRate(InHand& call) {
  std::optional<Options::CallerRate> limit;
  if (call.rpc.limit == RpcLimit::kPeer) {
    limit = {.rate = options_.peer_rate};
  } else if (options_.rate_of) {
    limit = options_.rate_of(call.call.identity);
  }
  if (!limit.has_value()) return absl::OkStatus();
  const Rate& rate = limit->rate;
  const int cost =
      call.rpc.cost == RpcCost::kItem ? std::max(1, call.items) : 1;
  const auto wait = limiter_.Take(call.queue_key, rate, cost, clock_.Now());
  if (!wait.has_value()) return absl::OkStatus();
  absl::Status refusal = WithRetryAfter(
      latchkey::Refuse(
          absl::StatusCode::kResourceExhausted, reason::kRateLimited,
          "too many calls; RetryInfo says when to come back",
          {{"limit", fmt::format("{:g} a minute", 60 * rate.per_second)}}),
      *wait);
  if (!limit->observed) return refusal;
  metrics_.Observed(ReasonOf(refusal));
  // A caller that floods does not flood the log.
  if (!observed_lines_.Take(call.queue_key, kLinesOfOne, 1, clock_.Now())) {
    LogObserved(refusal, call.call.identity.name, call.rpc.action());
  }
  call.observed = std::move(refusal);
  return absl::OkStatus();
}

AuditEvent CallFrame::EventOf(const InHand& call) {
  AuditEvent event;
  event.action = std::string(call.rpc.action());
  event.identity = call.call.identity.name;
  event.identity_kind = call.call.identity.kind;
  // Without the port: one that asks again is still the same.
  event.peer = PeerKey(call.call.peer);
  return event;
}

absl::Status CallFrame::Count(AuditEvent event, const absl::Status& status) {
  absl::Status shown = PublicStatus(status);
  event.verdict = VerdictOf(shown);
  event.reason = ReasonOf(shown);
  // One of a few texts of ours (services/authenticator.h), so that it can be
  // counted by.
  if (event.reason == reason::kUnauthenticated) {
    event.facts["detail"] = std::string(status.message());
  }
  refusals_.Add(event);
  return shown;
}

void CallFrame::Refuse(const CallPtr& call, const absl::Status& status) {
  End(call, Count(EventOf(*call), status));
}

void CallFrame::Run(const CallPtr& call) {
  if (call->context.IsCancelled()) {
    End(call, CallerGone());
    return;
  }
  if (const absl::Status ready = audit_.Ready(); !ready.ok()) {
    End(call, ready);
    return;
  }
  const absl::Status status = PublicStatus(call->body(call->call));
  const absl::Status recorded = Record(*call, status);
  End(call, recorded.ok() ? status : recorded);
}

absl::Status CallFrame::Record(InHand& call, const absl::Status& status) {
  AuditEvent& event = call.call.audit;
  if (!status.ok()) {
    NoteRefusal(status, event);
  } else if (const auto missing = MissingFacts(call.rpc, event);
             !missing.empty()) {
    metrics_.AuditIncomplete();
    LogEvent(LogLevel::kError, "audit record incomplete",
             {{"rpc", std::string(call.rpc.action())},
              {"lacks", fmt::format("{}", fmt::join(missing, ", "))}});
    assert(missing.empty());
  }
  for (const Call::ItemEnd& item : call.call.item_ends) {
    metrics_.RpcEnded(BrokerMetrics::kBatchItem, item.code, item.reason,
                      item.took);
  }
  std::vector<AuditEvent> events = std::move(call.call.items);
  event.action = std::string(call.rpc.action());
  events.push_back(std::move(event));
  for (AuditEvent& one : events) {
    if (one.verdict == AuditVerdict::kObserved) metrics_.Observed(one.reason);
    one.identity = call.call.identity.name;
    one.identity_kind = call.call.identity.kind;
    one.peer = call.call.peer;
  }
  // Counted already. What was refused by now has its own reason.
  if (AuditEvent& whole = events.back(); !call.observed.ok()) {
    if (whole.verdict == AuditVerdict::kAllowed) {
      NoteObserved(call.observed, whole);
    } else {
      whole.facts["observed"] = ReasonOf(call.observed);
    }
  }
  return audit_.RecordAll(events);
}

void CallFrame::End(const CallPtr& call, const absl::Status& status) {
  metrics_.RpcEnded(call->rpc.metric, status.code(), ReasonOf(status),
                    ExecutionNow() - call->begun);
  call->finish(status);
}

}  // namespace latchkey
