// grpc::Status to absl::Status: the one place where a broker's errors become
// ours again.

#ifndef LATCHKEY_CLIENTS_NODE_GRPC_ERROR_H_
#define LATCHKEY_CLIENTS_NODE_GRPC_ERROR_H_

#include <absl/status/status.h>
#include <grpcpp/support/status.h>

namespace latchkey {

// The code and message of `status`; with the reason and metadata of its
// google.rpc.ErrorInfo, if that is of the domain latchkey.dev, and the delay of
// its google.rpc.RetryInfo. Details that do not decode are left out.
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_NODE_GRPC_ERROR_H_
