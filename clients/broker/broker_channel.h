// A gRPC channel to a broker, over TLS.

#ifndef LATCHKEY_CLIENTS_BROKER_BROKER_CHANNEL_H_
#define LATCHKEY_CLIENTS_BROKER_BROKER_CHANNEL_H_

#include <memory>
#include <string>

#include <absl/status/statusor.h>
#include <grpcpp/channel.h>

#include "core/secret_string.h"

namespace latchkey {

struct BrokerChannelOptions {
  // host:port.
  std::string endpoint;
  // PEM of the authorities that the broker's certificate must come from.
  std::string certificate_authorities;
  // The name that the certificate must be for, if it is not the host.
  std::string server_name;
  // The caller's own certificate and key, both or neither.
  std::string certificate_pem;
  SecretString private_key_pem;
};

// Opens no connection yet. kInvalidArgument if the PEM texts are none, or the
// key is not the certificate's: gRPC itself would only fail the handshake.
absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenBrokerChannel(
    const BrokerChannelOptions& options);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_BROKER_BROKER_CHANNEL_H_
