#include "services/token_broker_service.h"

#include <string>
#include <utility>

#include "core/status_macros.h"
#include "services/call_credentials.h"
#include "services/unary_call.h"

namespace latchkey {
namespace {

absl::StatusOr<Identity> CallerOf(const grpc::CallbackServerContext& context,
                                  Authenticator& authenticator) {
  LATCHKEY_ASSIGN_OR_RETURN(const CallCredentials credentials,
                            CredentialsOf(context));
  return authenticator.Authenticate(credentials);
}

}  // namespace

grpc::ServerUnaryReactor* TokenBrokerService::IssueToken(
    grpc::CallbackServerContext* context, const v1::IssueTokenRequest* request,
    v1::IssueTokenResponse* response) {
  return RunUnary(pool_, *context, [=, this]() -> absl::Status {
    LATCHKEY_ASSIGN_OR_RETURN(const Identity caller,
                              CallerOf(*context, authenticator_));
    LATCHKEY_ASSIGN_OR_RETURN(const IssueRequest wanted, FromMessage(*request));
    LATCHKEY_ASSIGN_OR_RETURN(const IssuedToken issued,
                              broker_.Issue(caller, wanted));
    ToMessage(issued, cluster_, *response);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* TokenBrokerService::BatchIssueTokens(
    grpc::CallbackServerContext* context,
    const v1::BatchIssueTokensRequest* request,
    v1::BatchIssueTokensResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const auto fail = [reactor](const absl::Status& status) {
    reactor->Finish(ToGrpcStatus(status));
    return reactor;
  };
  absl::StatusOr<Identity> caller = CallerOf(*context, authenticator_);
  if (!caller.ok()) return fail(caller.status());
  absl::StatusOr<BatchItems> items = FromMessage(*request);
  if (!items.ok()) return fail(items.status());
  IssueBatch(
      broker_, batch_queue_, *std::move(caller), *std::move(items),
      [context] { return context->IsCancelled(); },
      [=, this](const BatchResults& results) {
        ToMessage(results, cluster_, *response);
        reactor->Finish(context->IsCancelled() ? grpc::Status::CANCELLED
                                               : grpc::Status::OK);
      });
  return reactor;
}

grpc::ServerUnaryReactor* TokenBrokerService::GetToken(
    grpc::CallbackServerContext* context, const v1::GetTokenRequest* request,
    v1::Token* response) {
  return RunUnary(pool_, *context, [=, this]() -> absl::Status {
    LATCHKEY_ASSIGN_OR_RETURN(const Identity caller,
                              CallerOf(*context, authenticator_));
    LATCHKEY_ASSIGN_OR_RETURN(const StoredToken token,
                              administration_.Get(caller, request->id()));
    ToMessage(token.record, *response);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* TokenBrokerService::ListTokens(
    grpc::CallbackServerContext* context, const v1::ListTokensRequest* request,
    v1::ListTokensResponse* response) {
  return RunUnary(pool_, *context, [=, this]() -> absl::Status {
    LATCHKEY_ASSIGN_OR_RETURN(const Identity caller,
                              CallerOf(*context, authenticator_));
    LATCHKEY_ASSIGN_OR_RETURN(const ListRequest wanted, FromMessage(*request));
    LATCHKEY_ASSIGN_OR_RETURN(const ListedTokens listed,
                              administration_.List(caller, wanted));
    ToMessage(listed, *response);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* TokenBrokerService::RevokeToken(
    grpc::CallbackServerContext* context, const v1::RevokeTokenRequest* request,
    v1::RevokeTokenResponse* response) {
  return RunUnary(pool_, *context, [=, this]() -> absl::Status {
    LATCHKEY_ASSIGN_OR_RETURN(const Identity caller,
                              CallerOf(*context, authenticator_));
    LATCHKEY_ASSIGN_OR_RETURN(const RevokeTarget target, FromMessage(*request));
    const RevokeOrder order{.why = request->reason(),
                            .validate_only = request->validate_only()};
    RevokedTokens revoked;
    if (target.filter.has_value()) {
      LATCHKEY_ASSIGN_OR_RETURN(
          revoked, administration_.RevokeAll(caller, *target.filter, order));
    } else {
      LATCHKEY_ASSIGN_OR_RETURN(
          StoredToken one, administration_.Revoke(caller, target.id, order));
      revoked.tokens.push_back(std::move(one));
    }
    ToMessage(revoked, *response);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* TokenBrokerService::ExtendToken(
    grpc::CallbackServerContext* context, const v1::ExtendTokenRequest* request,
    v1::Token* response) {
  return RunUnary(pool_, *context, [=, this]() -> absl::Status {
    LATCHKEY_ASSIGN_OR_RETURN(const Identity caller,
                              CallerOf(*context, authenticator_));
    LATCHKEY_ASSIGN_OR_RETURN(const absl::Time until, FromMessage(*request));
    LATCHKEY_ASSIGN_OR_RETURN(
        const StoredToken token,
        administration_.Extend(caller, request->id(), until));
    ToMessage(token.record, *response);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* TokenBrokerService::ExplainToken(
    grpc::CallbackServerContext* context,
    const v1::ExplainTokenRequest* request,
    v1::ExplainTokenResponse* response) {
  return RunUnary(pool_, *context, [=, this]() -> absl::Status {
    LATCHKEY_ASSIGN_OR_RETURN(const Identity caller,
                              CallerOf(*context, authenticator_));
    LATCHKEY_ASSIGN_OR_RETURN(const TokenLineage lineage,
                              administration_.Explain(caller, request->id()));
    ToMessage(lineage, *response);
    return absl::OkStatus();
  });
}

WatchReactor* TokenBrokerService::WatchTokens(
    grpc::CallbackServerContext* context,
    const v1::WatchTokensRequest* request) {
  const auto caller = CallerOf(*context, authenticator_);
  if (!caller.ok()) return RefuseWatch(caller.status());
  return watches_.Open(*caller, *request);
}

}  // namespace latchkey
