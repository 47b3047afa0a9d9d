// The bearer token that a call is made with (RFC 6750).

#ifndef LATCHKEY_CLIENTS_BROKER_BEARER_TOKEN_H_
#define LATCHKEY_CLIENTS_BROKER_BEARER_TOKEN_H_

#include <string>

#include <absl/status/status.h>
#include <grpcpp/client_context.h>

namespace latchkey {

// Gives the call of `context` the token in `file` as "authorization: Bearer
// <token>". gRPC sends it over TLS only. The file is read now, at most 64 KiB,
// so that whoever replaces it before the token expires is heeded; line ends at
// its end are cut off.
//
// kInvalidArgument, naming the file and never the token: it cannot be read, is
// empty, or holds what no token can hold.
absl::Status UseBearerToken(grpc::ClientContext& context,
                            const std::string& file);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_BROKER_BEARER_TOKEN_H_
