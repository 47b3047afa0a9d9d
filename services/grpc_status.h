// absl::Status to grpc::Status: the one place where our errors become gRPC's.

#ifndef LATCHKEY_SERVICES_GRPC_STATUS_H_
#define LATCHKEY_SERVICES_GRPC_STATUS_H_

#include <optional>

#include <absl/status/status.h>
#include <google/protobuf/duration.pb.h>
#include <grpcpp/support/status.h>

namespace latchkey {

// A refusal (core/refusal.h) keeps its code and message, as PublicStatus() has
// them, and carries google.rpc.ErrorInfo (domain latchkey.dev), RetryInfo if
// there is a RetryDelayOf() it, BadRequest if it names a field that is
// malformed, QuotaFailure if a quota is used up, and PreconditionFailure if it
// is about the state that something is in.
//
// Any other error is about what stands behind the broker: the caller hears
// UNAVAILABLE CLUSTER_UNAVAILABLE or RESOURCE_EXHAUSTED OVERLOADED, which are
// worth a retry, or INTERNAL, and none of the details, which go to the log.
grpc::Status ToGrpcStatus(const absl::Status& status);

// What the caller will hear of `status`, still as ours: a refusal as it is, but
// for UNAUTHENTICATED, which says to everybody the same; any other error as
// said above, and the details go to the log.
absl::Status PublicStatus(const absl::Status& status);

// When to come back, as callers are told it everywhere: drawn anew each time,
// from the delay of `shown` to twice that, since callers that were refused
// together must not come back together; in whole milliseconds, since rounding
// would bring them together again. Without a delay of its own that of its
// reason, where one is worth waiting for; else none.
std::optional<google::protobuf::Duration> RetryDelayOf(
    const absl::Status& shown);

// OVERLOADED (kResourceExhausted): a queue of the broker is full.
absl::Status Overloaded();

// CALLER_GONE (kCancelled): nobody is there any more to be answered.
absl::Status CallerGone();

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_GRPC_STATUS_H_
