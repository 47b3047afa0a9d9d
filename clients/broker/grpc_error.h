// grpc::Status to absl::Status, on the caller's side: the reverse of
// services/grpc_status.h.

#ifndef LATCHKEY_CLIENTS_BROKER_GRPC_ERROR_H_
#define LATCHKEY_CLIENTS_BROKER_GRPC_ERROR_H_

#include <absl/status/status.h>
#include <grpcpp/support/status.h>

namespace latchkey {

// The same code and message, with the reason and metadata of ErrorInfo and the
// delay of RetryInfo, where the broker sent them (ReasonOf, MetadataOf,
// RetryAfterOf). Details that do not parse are ignored.
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_BROKER_GRPC_ERROR_H_
