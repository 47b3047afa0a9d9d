// One gRPC port with TLS.

#ifndef LATCHKEY_SERVER_GRPC_LISTENER_H_
#define LATCHKEY_SERVER_GRPC_LISTENER_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <grpcpp/grpcpp.h>

#include "server/broker_config.h"
#include "server/connection_gate.h"
#include "server/connection_limits.h"

namespace latchkey {

// kOptional: a client may bring none, but one that it brings must verify.
enum class ClientCertificates { kRequired, kOptional, kNotAsked };

// From now on, listeners that are started say which RPCs there are
// (grpc.reflection.v1alpha). Cannot be undone. kInvalidArgument: gRPC's library
// for it is not installed.
absl::Status EnableReflection();

struct GrpcListenerOptions {
  // What the log calls the port.
  std::string name = "grpc";
  // A larger request is refused with RESOURCE_EXHAUSTED.
  int max_request_bytes = 64 << 10;
  // More connections are closed as soon as they come, and told to `on_refused`
  // on a thread of the listener's own.
  ConnectionLimits connections;
  std::function<void(ConnectionRefusal)> on_refused = [](ConnectionRefusal) {};
  // Who connects has so long for its TLS handshake, and then so long without a
  // call. After its greatest age a connection takes no new calls, and ends when
  // those in hand have had the grace.
  absl::Duration handshake_time = absl::Seconds(10);
  absl::Duration idle_time = absl::Minutes(10);
  absl::Duration greatest_age = absl::Hours(12);
  absl::Duration grace = absl::Minutes(5);
};

class GrpcListener {
 public:
  // Listens at once and serves `service`, which must outlive this, and
  // grpc.health.v1. Certificate, key and authorities are checked now and read
  // again within seconds whenever the files change.
  //
  // kInvalidArgument: a file cannot be used, with its path. kUnavailable: the
  // address cannot be listened on.
  static absl::StatusOr<std::unique_ptr<GrpcListener>> Start(
      const ListenerConfig& config, ClientCertificates clients,
      grpc::Service& service, GrpcListenerOptions options);

  GrpcListener(const GrpcListener&) = delete;
  GrpcListener& operator=(const GrpcListener&) = delete;
  // Waits for the calls in hand, as RefuseNewCalls() says.
  ~GrpcListener();

  int port() const { return gate_->port(); }
  size_t CountConnections() { return gate_->CountOpen(); }
  // What grpc.health.v1 says of `service` (by its full name), and of the port
  // as a whole.
  void SetServing(const std::string& service, bool serving);
  // Nobody connects any more and new calls are refused; those in hand have five
  // seconds until their clients are told that they were cancelled. Returns at
  // once.
  void RefuseNewCalls();

 private:
  GrpcListener(std::unique_ptr<grpc::Server> server,
               std::unique_ptr<ConnectionGate> gate);
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<ConnectionGate> gate_;
  std::jthread drain_;  // shuts both down
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVER_GRPC_LISTENER_H_
