// What a gRPC call brought along to say who calls.

#ifndef LATCHKEY_SERVICES_CALL_CREDENTIALS_H_
#define LATCHKEY_SERVICES_CALL_CREDENTIALS_H_

#include <absl/status/statusor.h>
#include <grpcpp/server_context.h>

#include "services/authenticator.h"

namespace latchkey {

// The client certificate, if the listener asked for one and verified it, and
// the metadata "authorization". kUnauthenticated (UNAUTHENTICATED) if that is
// there more than once.
absl::StatusOr<CallCredentials> CredentialsOf(
    const grpc::ServerContextBase& context);

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_CALL_CREDENTIALS_H_
