#include "clients/broker/broker_channel.h"

#include <stdlib.h>

#include <absl/time/clock.h>
#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

namespace latchkey {
namespace {

// No sooner: a server that does not know of it allows a ping in five minutes.
constexpr int kKeepaliveMs = 5 * 60 * 1000 + 5'000;
constexpr int kKeepaliveTimeoutMs = 20'000;

}  // namespace

std::shared_ptr<grpc::Channel> OpenBrokerChannel(
    const BrokerChannelOptions& options) {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = options.certificate_authorities;
  tls.pem_cert_chain = options.certificate_pem;
  tls.pem_private_key = std::string(options.private_key_pem.Reveal());
  grpc::ChannelArguments arguments;
  if (!options.server_name.empty()) {
    arguments.SetSslTargetNameOverride(options.server_name);
  }
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // Channels would share their connections: a new one is to be new.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
                   options.max_answer_bytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  // A watcher sends nothing for days.
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetUserAgentPrefix(options.user_agent);
  return grpc::CreateCustomChannel(options.endpoint, grpc::SslCredentials(tls),
                                   arguments);
}

void AwaitConnection(grpc::Channel& channel, absl::Duration patience) {
  if (channel.GetState(/*try_to_connect=*/false) ==
      GRPC_CHANNEL_TRANSIENT_FAILURE) {
    channel.WaitForConnected(absl::ToChronoTime(absl::Now() + patience));
  }
}

void SilenceGrpcLibrary() {
  if (getenv("GRPC_VERBOSITY") != nullptr) return;
  gpr_set_log_function([](gpr_log_func_args* /*arguments*/) {});
  google::protobuf::SetLogHandler(nullptr);
}

}  // namespace latchkey
