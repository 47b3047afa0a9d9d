// A BrokerClient over gRPC and TLS.

#ifndef LATCHKEY_CLIENTS_NODE_GRPC_BROKER_CLIENT_H_
#define LATCHKEY_CLIENTS_NODE_GRPC_BROKER_CLIENT_H_

#include <memory>
#include <string>

#include "clients/node/broker_client.h"

namespace latchkey {

struct BrokerEndpoint {
  std::string address;  // host:port
  // The authorities that the broker's certificate may come from, and no others.
  std::string ca_pem;
  // The name that the certificate must have; empty: the host.
  std::string server_name;
};

class GrpcBrokerClient final : public BrokerClient {
 public:
  // Keeps the library's own words off standard error, for the whole process,
  // unless GRPC_VERBOSITY asks for them: they would stand between our lines,
  // and what matters of them is in the statuses.
  static void SilenceLibrary();

  // Connects to nobody yet.
  explicit GrpcBrokerClient(BrokerEndpoint endpoint);
  ~GrpcBrokerClient() override;

  // A call that was not answered, or that the broker could not serve, is the
  // last one on its connection.
  absl::StatusOr<BootstrapGrant> Claim(const NodeClaim& claim,
                                       absl::Duration timeout) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_NODE_GRPC_BROKER_CLIENT_H_
