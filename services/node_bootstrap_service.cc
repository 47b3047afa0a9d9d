#include "services/node_bootstrap_service.h"

#include "core/status_macros.h"
#include "services/unary_call.h"

namespace latchkey {

grpc::ServerUnaryReactor* NodeBootstrapService::ClaimToken(
    grpc::CallbackServerContext* context, const v1::ClaimTokenRequest* request,
    v1::ClaimTokenResponse* response) {
  return RunUnary(pool_, *context, [=, this]() -> absl::Status {
    LATCHKEY_ASSIGN_OR_RETURN(
        const ClaimedToken claimed,
        broker_.Claim({.ticket = SecretString(request->ticket()),
                       .node_name = request->node_name(),
                       .csr_pem = request->certificate_signing_request(),
                       .peer = context->peer()}));
    ToMessage(claimed, cluster_, *response);
    return absl::OkStatus();
  });
}

}  // namespace latchkey
