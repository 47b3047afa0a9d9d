// A gRPC channel to a broker, over TLS.

#ifndef LATCHKEY_CLIENTS_BROKER_BROKER_CHANNEL_H_
#define LATCHKEY_CLIENTS_BROKER_BROKER_CHANNEL_H_

#include <memory>
#include <string>

#include <absl/time/time.h>
#include <grpcpp/channel.h>

#include "core/secret_string.h"

namespace latchkey {

struct BrokerChannelOptions {
  // host:port (broker_address.h).
  std::string endpoint;
  // PEM of the authorities that the broker's certificate must come from.
  std::string certificate_authorities;
  // The name that the certificate must be for, if it is not the host.
  std::string server_name;
  // The caller's own certificate and key, both or neither.
  std::string certificate_pem;
  SecretString private_key_pem;
  std::string user_agent = "latchkey";
  // Longer answers are refused unread. One has a certificate bundle in it.
  int max_answer_bytes = 4 << 20;
};

// Opens no connection yet, and judges nothing: what is wrong with `options`
// only fails each handshake. Retries nothing; a connection that failed is tried
// again within a second of AwaitConnection(), not a doubled minute later. A
// connection that died without a word fails its calls after some minutes. Uses
// no proxy.
std::shared_ptr<grpc::Channel> OpenBrokerChannel(
    const BrokerChannelOptions& options);

// Before a call is made again: gets on with a channel whose last connection
// failed, for `patience` at most. gRPC connects only while somebody waits, and
// ends a call on such a channel at once: without this, a broker that is back
// would not be noticed for a long time. Any other channel is left as it is.
void AwaitConnection(grpc::Channel& channel, absl::Duration patience);

// Keeps gRPC and protobuf from writing to standard error what the callers
// report better, unless $GRPC_VERBOSITY asks for it. Called before the first
// channel.
void SilenceGrpcLibrary();

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_BROKER_BROKER_CHANNEL_H_
