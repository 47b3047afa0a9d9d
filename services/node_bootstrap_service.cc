#include "services/node_bootstrap_service.h"

#include "core/status_macros.h"
#include "core/ticket.h"
#include "services/token_messages.h"

namespace latchkey {

grpc::ServerUnaryReactor* NodeBootstrapService::ClaimToken(
    grpc::CallbackServerContext* context, const v1::ClaimTokenRequest* request,
    v1::ClaimTokenResponse* response) {
  return frame_.Unary(
      *context, Rpc::kClaimToken, [=, this](Call& call) -> absl::Status {
        call.audit.facts["node"] = request->node_name();
        // Of a ticket that is refused: which token it claims to be of.
        if (const auto ticket = Ticket::Parse(request->ticket()); ticket.ok()) {
          call.audit.token_id = ticket->id().text();
        }
        LATCHKEY_ASSIGN_OR_RETURN(
            const ClaimedToken claimed,
            broker_.Claim({.ticket = SecretString(request->ticket()),
                           .node_name = request->node_name(),
                           .csr_pem = request->certificate_signing_request(),
                           .peer = call.peer}));
        NoteToken(claimed.record, claimed.uid, call.audit);
        call.audit.facts["key"] = claimed.record.BoundKey().value_or("");
        ToMessage(claimed, cluster_(), *response);
        return absl::OkStatus();
      });
}

}  // namespace latchkey
