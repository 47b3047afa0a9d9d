#include "services/call_credentials.h"

#include <string_view>

#include "core/reasons.h"
#include "core/refusal.h"
#include "core/status_macros.h"

namespace latchkey {

absl::StatusOr<CallCredentials> CredentialsOf(
    const grpc::ServerContextBase& context) {
  CallCredentials credentials;
  const auto auth = context.auth_context();
  if (auth != nullptr && auth->IsPeerAuthenticated()) {
    const auto pem = auth->FindPropertyValues("x509_pem_cert");
    if (pem.size() == 1) {
      credentials.certificate_pem.emplace(pem.front().data(),
                                          pem.front().size());
    }
  }
  const auto [begin, end] =
      context.client_metadata().equal_range("authorization");
  for (auto it = begin; it != end; ++it) {
    if (credentials.authorization.has_value()) {
      return Refuse(absl::StatusCode::kUnauthenticated,
                    reason::kUnauthenticated,
                    "there is more than one authorization");
    }
    credentials.authorization.emplace(
        std::string_view(it->second.data(), it->second.size()));
  }
  return credentials;
}

std::optional<absl::StatusOr<TimedIdentity>> CredentialAuthenticator::Known(
    const grpc::CallbackServerContext& context) {
  absl::StatusOr<CallCredentials> credentials = CredentialsOf(context);
  if (!credentials.ok()) return credentials.status();
  return authenticator_.Known(*credentials);
}

absl::StatusOr<TimedIdentity> CredentialAuthenticator::Authenticate(
    const grpc::CallbackServerContext& context) {
  LATCHKEY_ASSIGN_OR_RETURN(const CallCredentials credentials,
                            CredentialsOf(context));
  return authenticator_.Authenticate(credentials);
}

}  // namespace latchkey
