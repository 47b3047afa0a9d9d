// One gRPC port with TLS.

#ifndef LATCHKEY_SERVER_GRPC_LISTENER_H_
#define LATCHKEY_SERVER_GRPC_LISTENER_H_

#include <memory>
#include <string>
#include <thread>

#include <absl/status/statusor.h>
#include <grpcpp/grpcpp.h>

#include "server/broker_config.h"

namespace latchkey {

// kOptional: a client may bring none, but one that it brings must verify.
enum class ClientCertificates { kRequired, kOptional, kNotAsked };

// From now on, listeners that are started say which RPCs there are
// (grpc.reflection.v1alpha). Cannot be undone. kInvalidArgument: gRPC's library
// for it is not installed.
absl::Status EnableReflection();

class GrpcListener {
 public:
  // Listens at once and serves `service`, which must outlive this, and
  // grpc.health.v1. Certificate, key and authorities are checked now and read
  // again within seconds whenever the files change. A larger request than
  // `max_request_bytes` is refused with RESOURCE_EXHAUSTED.
  //
  // kInvalidArgument: a file cannot be used, with its path. kUnavailable: the
  // address cannot be listened on.
  static absl::StatusOr<std::unique_ptr<GrpcListener>> Start(
      const ListenerConfig& config, ClientCertificates clients,
      grpc::Service& service, int max_request_bytes);

  GrpcListener(const GrpcListener&) = delete;
  GrpcListener& operator=(const GrpcListener&) = delete;
  // Waits for the calls in hand, as RefuseNewCalls() says.
  ~GrpcListener();

  int port() const { return port_; }
  // What grpc.health.v1 says of `service` (by its full name), and of the port
  // as a whole.
  void SetServing(const std::string& service, bool serving);
  // New calls are refused from now on; those in hand have five seconds until
  // their clients are told that they were cancelled. Returns at once.
  void RefuseNewCalls();

 private:
  GrpcListener(std::unique_ptr<grpc::Server> server, int port);
  std::unique_ptr<grpc::Server> server_;
  int port_;
  std::jthread drain_;  // shuts the server down
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVER_GRPC_LISTENER_H_
