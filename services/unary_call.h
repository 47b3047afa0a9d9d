// Runs the body of a unary RPC on a pool, so that nothing blocks a thread of
// gRPC, and finishes the call with its status.

#ifndef LATCHKEY_SERVICES_UNARY_CALL_H_
#define LATCHKEY_SERVICES_UNARY_CALL_H_

#include <functional>
#include <utility>

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <grpcpp/grpcpp.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "core/thread_pool.h"
#include "services/grpc_status.h"

namespace latchkey {

// RESOURCE_EXHAUSTED OVERLOADED at once if the pool's queue is full; a call
// that the client has given up meanwhile is not begun.
inline grpc::ServerUnaryReactor* RunUnary(ThreadPool& pool,
                                          grpc::CallbackServerContext& context,
                                          std::function<absl::Status()> body) {
  grpc::ServerUnaryReactor* reactor = context.DefaultReactor();
  const bool accepted =
      pool.TrySubmit([&context, reactor, body = std::move(body)] {
        reactor->Finish(context.IsCancelled() ? grpc::Status::CANCELLED
                                              : ToGrpcStatus(body()));
      });
  if (!accepted) {
    reactor->Finish(ToGrpcStatus(WithRetryAfter(
        Refuse(absl::StatusCode::kResourceExhausted, reason::kOverloaded,
               "the broker has more calls than it can hold"),
        absl::Seconds(1))));
  }
  return reactor;
}

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_UNARY_CALL_H_
