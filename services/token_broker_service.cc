#include "services/token_broker_service.h"

#include <string>

#include "core/reasons.h"
#include "core/refusal.h"
#include "core/status_macros.h"
#include "policy/identity.h"
#include "services/unary_call.h"

namespace latchkey {
namespace {

// The identity behind the call: TLS has verified the certificate.
absl::StatusOr<Identity> CallerOf(const grpc::CallbackServerContext& context,
                                  IdentityCache& identities) {
  const auto auth = context.auth_context();
  if (auth != nullptr && auth->IsPeerAuthenticated()) {
    const auto pem = auth->FindPropertyValues("x509_pem_cert");
    if (pem.size() == 1) {
      return identities.IdentityOf({pem.front().data(), pem.front().size()});
    }
  }
  return Refuse(absl::StatusCode::kUnauthenticated, reason::kUnauthenticated,
                "a verified client certificate is required");
}

}  // namespace

grpc::ServerUnaryReactor* TokenBrokerService::IssueToken(
    grpc::CallbackServerContext* context, const v1::IssueTokenRequest* request,
    v1::IssueTokenResponse* response) {
  return RunUnary(pool_, *context, [=, this]() -> absl::Status {
    LATCHKEY_ASSIGN_OR_RETURN(const Identity caller,
                              CallerOf(*context, identities_));
    LATCHKEY_ASSIGN_OR_RETURN(const IssueRequest wanted, FromMessage(*request));
    LATCHKEY_ASSIGN_OR_RETURN(const IssuedToken issued,
                              broker_.Issue(caller, wanted));
    ToMessage(issued, cluster_, *response);
    return absl::OkStatus();
  });
}

}  // namespace latchkey
