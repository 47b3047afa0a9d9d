// What a gRPC call brought along to say who calls.

#ifndef LATCHKEY_SERVICES_CALL_CREDENTIALS_H_
#define LATCHKEY_SERVICES_CALL_CREDENTIALS_H_

#include <optional>

#include <absl/status/statusor.h>
#include <grpcpp/server_context.h>

#include "services/authenticator.h"
#include "services/call_frame.h"

namespace latchkey {

// The client certificate, if the listener asked for one and verified it, and
// the metadata "authorization". kUnauthenticated (UNAUTHENTICATED) if that is
// there more than once.
absl::StatusOr<CallCredentials> CredentialsOf(
    const grpc::ServerContextBase& context);

// The callers of a frame, by either kind of credential.
class CredentialAuthenticator final : public CallAuthenticator {
 public:
  // `authenticator` must outlive this.
  explicit CredentialAuthenticator(Authenticator& authenticator)
      : authenticator_(authenticator) {}

  std::optional<absl::StatusOr<TimedIdentity>> Known(
      const grpc::CallbackServerContext& context) override;
  absl::StatusOr<TimedIdentity> Authenticate(
      const grpc::CallbackServerContext& context) override;

 private:
  Authenticator& authenticator_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_CALL_CREDENTIALS_H_
