#include "clients/node/grpc_broker_client.h"

#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/time/clock.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include "clients/node/grpc_error.h"
#include "core/status_macros.h"
#include "latchkey/v1/node_bootstrap.grpc.pb.h"

namespace latchkey {
namespace {

std::shared_ptr<grpc::Channel> MakeChannel(const BrokerEndpoint& endpoint) {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = endpoint.ca_pem;
  grpc::ChannelArguments arguments;
  if (!endpoint.server_name.empty()) {
    arguments.SetSslTargetNameOverride(endpoint.server_name);
  }
  // The caller retries, and says so; a connection that failed is tried again
  // when the caller comes back, not a doubled minute later.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // Like the client of the API server: no proxy that nobody configured.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, 4 << 20);
  arguments.SetUserAgentPrefix("latchkey-join");
  return grpc::CreateCustomChannel(endpoint.address, grpc::SslCredentials(tls),
                                   arguments);
}

absl::StatusOr<BootstrapGrant> ToGrant(const v1::ClaimTokenResponse& response) {
  const auto senseless = [](std::string_view why) {
    return absl::InternalError("the broker's answer makes no sense: " +
                               std::string(why));
  };
  absl::StatusOr<BootstrapToken> token =
      BootstrapToken::Parse(response.bootstrap_token());
  if (!token.ok()) return senseless("it has no bootstrap token");
  const v1::ClusterInfo& cluster = response.cluster();
  if (cluster.api_servers().empty()) return senseless("it has no API server");
  if (response.certificate_expiration_seconds() < 0) {
    return senseless("the certificate's lifetime is negative");
  }
  return BootstrapGrant{.token = *std::move(token),
                        .api_servers = {cluster.api_servers().begin(),
                                        cluster.api_servers().end()},
                        .ca_pem = cluster.certificate_authorities(),
                        .certificate_expiration_seconds =
                            response.certificate_expiration_seconds()};
}

}  // namespace

struct GrpcBrokerClient::State {
  std::unique_ptr<v1::NodeBootstrap::Stub> stub;
};

GrpcBrokerClient::GrpcBrokerClient(const BrokerEndpoint& endpoint)
    : state_(std::make_unique<State>(
          State{v1::NodeBootstrap::NewStub(MakeChannel(endpoint))})) {}
GrpcBrokerClient::~GrpcBrokerClient() = default;

absl::StatusOr<BootstrapGrant> GrpcBrokerClient::Claim(const NodeClaim& claim,
                                                       absl::Duration timeout) {
  v1::ClaimTokenRequest request;
  request.set_ticket(std::string(claim.ticket.text().Reveal()));
  request.set_node_name(claim.node_name);
  request.set_certificate_signing_request(claim.csr_pem);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  v1::ClaimTokenResponse response;
  const grpc::Status status =
      state_->stub->ClaimToken(&context, request, &response);
  Wipe(*request.mutable_ticket());
  LATCHKEY_RETURN_IF_ERROR(FromGrpcStatus(status));
  absl::StatusOr<BootstrapGrant> grant = ToGrant(response);
  Wipe(*response.mutable_bootstrap_token());
  return grant;
}

}  // namespace latchkey
