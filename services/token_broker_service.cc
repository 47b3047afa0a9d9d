#include "services/token_broker_service.h"

#include <latch>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/refusal.h"
#include "core/status_macros.h"
#include "core/text_time.h"
#include "services/batch_issue.h"
#include "services/grpc_status.h"
#include "services/observed_refusal.h"
#include "services/token_messages.h"

namespace latchkey {
namespace {

// Which request it is, before it is known how it ends: what was refused, or
// lost its answer, can be tied to its repetition.
void NoteRequest(const Identity& caller, const std::string& request_id,
                 AuditEvent& event) {
  if (request_id.empty()) return;
  event.facts["request"] = RequestKey(caller.name, request_id);
}

// What the audit says of one mint that was not refused.
void NoteIssued(const IssuedToken& issued, bool validate_only,
                AuditEvent& event) {
  NoteToken(issued.record, issued.uid, event);
  if (validate_only) {
    event.token_id.clear();
  } else {
    event.facts["request"] = issued.record.request_key;
  }
  NoteObserved(issued.observed, event);
}

// One item of a batch: a decision of its own. `result`: as the caller sees it.
AuditEvent EventOfItem(const Identity& caller,
                       const v1::IssueTokenRequest& item,
                       const absl::StatusOr<IssuedToken>& result) {
  AuditEvent event;
  event.action = "IssueToken";
  event.facts["node"] = item.scope().node_name();
  NoteRequest(caller, item.request_id(), event);
  if (result.ok()) {
    NoteIssued(*result, false, event);
  } else {
    NoteRefusal(result.status(), event);
  }
  return event;
}

void NoteStored(const StoredToken& token, AuditEvent& event) {
  NoteToken(token.record, token.uid, event);
}

// Which token is to be changed: what comes of it may stay unknown.
void NoteAsked(const std::string& id, AuditEvent& event) {
  if (TokenId::Parse(id).ok()) event.token_id = id;
}

// A record for each token of a revocation by filter. Those that failed too: the
// cluster may have done what it gave no answer to.
void NoteEachRevoked(RevokedTokens& revoked, const std::string& why_asked,
                     std::vector<AuditEvent>& events) {
  for (const StoredToken& token : revoked.tokens) {
    AuditEvent& event = events.emplace_back();
    event.action = "token.revoke";
    event.facts["why"] = why_asked;
    NoteStored(token, event);
  }
  for (auto& [token, why] : revoked.failed) {
    AuditEvent& event = events.emplace_back();
    event.action = "token.revoke";
    event.facts["why"] = why_asked;
    NoteStored(token, event);
    // Once, since it is logged each time.
    why = PublicStatus(why);
    NoteRefusal(why, event);
  }
}

}  // namespace

grpc::ServerUnaryReactor* TokenBrokerService::IssueToken(
    grpc::CallbackServerContext* context, const v1::IssueTokenRequest* request,
    v1::IssueTokenResponse* response) {
  return frame_.Unary(
      *context, Rpc::kIssueToken, [=, this](Call& call) -> absl::Status {
        call.audit.facts["node"] = request->scope().node_name();
        NoteRequest(call.identity, request->request_id(), call.audit);
        if (request->validate_only()) {
          call.audit.facts["validate_only"] = "true";
        }
        LATCHKEY_ASSIGN_OR_RETURN(const IssueRequest wanted,
                                  FromMessage(*request));
        LATCHKEY_ASSIGN_OR_RETURN(const IssuedToken issued,
                                  broker_.Issue(call.identity, wanted));
        NoteIssued(issued, wanted.validate_only, call.audit);
        ToMessage(issued, cluster_(), *response);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* TokenBrokerService::BatchIssueTokens(
    grpc::CallbackServerContext* context,
    const v1::BatchIssueTokensRequest* request,
    v1::BatchIssueTokensResponse* response) {
  return frame_.Unary(
      *context, Rpc::kBatchIssueTokens,
      [=, this](Call& call) {
        return IssueAll(*context, call, *request, *response);
      },
      request->requests_size());
}

absl::Status TokenBrokerService::IssueAll(
    const grpc::CallbackServerContext& context, Call& call,
    const v1::BatchIssueTokensRequest& request,
    v1::BatchIssueTokensResponse& response) {
  call.audit.facts["count"] = std::to_string(request.requests_size());
  LATCHKEY_ASSIGN_OR_RETURN(BatchItems items, FromMessage(request));
  BatchResults results;
  BatchTimes times;
  std::latch ended(1);
  IssueBatch(
      broker_, batch_queue_, call.identity, std::move(items),
      [&context] { return context.IsCancelled(); },
      [&](BatchResults all, BatchTimes took) {
        results = std::move(all);
        times = std::move(took);
        ended.count_down();
      });
  ended.wait();
  size_t not_begun = 0;
  for (size_t i = 0; i < results.size(); ++i) {
    absl::StatusOr<IssuedToken>& result = results[i];
    if (result.status() == NotBegun()) {
      ++not_begun;
      continue;  // nothing was decided
    }
    // Once, since it is logged each time.
    if (!result.ok()) result = PublicStatus(result.status());
    call.item_ends.push_back({.code = result.status().code(),
                              .reason = ReasonOf(result.status()),
                              .took = times[i]});
    call.items.push_back(EventOfItem(
        call.identity, request.requests(static_cast<int>(i)), result));
  }
  if (not_begun > 0) {
    // Nobody is there to be answered.
    call.audit.facts["not_begun"] = std::to_string(not_begun);
    return absl::OkStatus();
  }
  ToMessage(results, cluster_(), response);
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* TokenBrokerService::GetToken(
    grpc::CallbackServerContext* context, const v1::GetTokenRequest* request,
    v1::Token* response) {
  return frame_.Unary(*context, Rpc::kGetToken,
                      [=, this](Call& call) -> absl::Status {
                        LATCHKEY_ASSIGN_OR_RETURN(
                            const StoredToken token,
                            administration_.Get(call.identity, request->id()));
                        NoteStored(token, call.audit);
                        ToMessage(token.record, *response);
                        return absl::OkStatus();
                      });
}

grpc::ServerUnaryReactor* TokenBrokerService::ListTokens(
    grpc::CallbackServerContext* context, const v1::ListTokensRequest* request,
    v1::ListTokensResponse* response) {
  return frame_.Unary(
      *context, Rpc::kListTokens, [=, this](Call& call) -> absl::Status {
        LATCHKEY_ASSIGN_OR_RETURN(const ListRequest wanted,
                                  FromMessage(*request));
        call.audit.facts["filter"] = FormatFilter(wanted.filter);
        LATCHKEY_ASSIGN_OR_RETURN(const ListedTokens listed,
                                  administration_.List(call.identity, wanted));
        ToMessage(listed, *response);
        call.audit.facts["count"] = std::to_string(response->tokens_size());
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* TokenBrokerService::RevokeToken(
    grpc::CallbackServerContext* context, const v1::RevokeTokenRequest* request,
    v1::RevokeTokenResponse* response) {
  return frame_.Unary(*context, Rpc::kRevokeToken, [=, this](Call& call) {
    return Revoke(*context, call, *request, *response);
  });
}

absl::Status TokenBrokerService::Revoke(
    const grpc::CallbackServerContext& context, Call& call,
    const v1::RevokeTokenRequest& request, v1::RevokeTokenResponse& response) {
  if (request.validate_only()) call.audit.facts["validate_only"] = "true";
  call.audit.facts["why"] = request.reason();
  LATCHKEY_ASSIGN_OR_RETURN(const RevokeTarget target, FromMessage(request));
  const RevokeOrder order{.why = request.reason(),
                          .validate_only = request.validate_only()};
  RevokedTokens revoked;
  if (target.filter.has_value()) {
    call.audit.facts["filter"] = FormatFilter(*target.filter);
    LATCHKEY_ASSIGN_OR_RETURN(
        revoked,
        administration_.RevokeAll(call.identity, *target.filter, order,
                                  [&] { return context.IsCancelled(); }));
  } else {
    NoteAsked(target.id, call.audit);
    LATCHKEY_ASSIGN_OR_RETURN(
        StoredToken one,
        administration_.Revoke(call.identity, target.id, order));
    NoteStored(one, call.audit);
    revoked.tokens.push_back(std::move(one));
  }
  call.audit.facts["count"] = std::to_string(revoked.tokens.size());
  if (target.filter.has_value() && !order.validate_only) {
    NoteEachRevoked(revoked, order.why, call.items);
  }
  ToMessage(revoked, response);
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* TokenBrokerService::ExtendToken(
    grpc::CallbackServerContext* context, const v1::ExtendTokenRequest* request,
    v1::Token* response) {
  return frame_.Unary(
      *context, Rpc::kExtendToken, [=, this](Call& call) -> absl::Status {
        LATCHKEY_ASSIGN_OR_RETURN(const absl::Time until,
                                  FromMessage(*request));
        call.audit.facts["expire_time"] = FormatRfc3339(until);
        NoteAsked(request->id(), call.audit);
        LATCHKEY_ASSIGN_OR_RETURN(
            const ExtendedToken extended,
            administration_.Extend(call.identity, request->id(), until));
        NoteStored(extended.token, call.audit);
        NoteObserved(extended.observed, call.audit);
        ToMessage(extended.token.record, *response);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* TokenBrokerService::ExplainToken(
    grpc::CallbackServerContext* context,
    const v1::ExplainTokenRequest* request,
    v1::ExplainTokenResponse* response) {
  return frame_.Unary(
      *context, Rpc::kExplainToken, [=, this](Call& call) -> absl::Status {
        LATCHKEY_ASSIGN_OR_RETURN(
            const TokenLineage lineage,
            administration_.Explain(call.identity, request->id()));
        NoteStored(lineage.token, call.audit);
        ToMessage(lineage, *response);
        return absl::OkStatus();
      });
}

WatchReactor* TokenBrokerService::WatchTokens(
    grpc::CallbackServerContext* context,
    const v1::WatchTokensRequest* request) {
  const TokenWatches::StreamPtr stream = watches_.Prepare(*request);
  frame_.Stream(
      *context, Rpc::kWatchTokens,
      [this, stream, request](Call& call) {
        // What is wrong with it, Admit() says.
        if (const auto filter = FromMessage(request->filter()); filter.ok()) {
          call.audit.facts["filter"] = FormatFilter(*filter);
        }
        return watches_.Admit(stream,
                              {.who = {.identity = call.identity,
                                       .expires = call.identity_expires},
                               .ask_again = call.ask_again});
      },
      [this, stream] { watches_.Start(stream); },
      [this, stream](const grpc::Status& status) {
        watches_.Refuse(stream, status);
      });
  return TokenWatches::ReactorOf(stream);
}

}  // namespace latchkey
