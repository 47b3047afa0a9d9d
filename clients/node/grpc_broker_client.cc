#include "clients/node/grpc_broker_client.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/time/clock.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include "clients/broker/broker_channel.h"
#include "clients/broker/grpc_error.h"
#include "core/execution.h"
#include "core/mutex.h"
#include "core/status_macros.h"
#include "latchkey/v1/node_bootstrap.grpc.pb.h"

namespace latchkey {
namespace {

// For a broker that is back.
constexpr absl::Duration kConnectPatience = absl::Seconds(5);

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

// gRPC starts its threads with the first channel: a machine that has joined
// already needs none.
struct GrpcBrokerClient::State {
  std::shared_ptr<grpc::Channel> Channel() {
    const MutexLock lock(mutex);
    if (channel == nullptr) {
      channel = OpenBrokerChannel({.endpoint = endpoint.address,
                                   .certificate_authorities = endpoint.ca_pem,
                                   .server_name = endpoint.server_name,
                                   .user_agent = "latchkey-join"});
    }
    return channel;
  }
  // The next call connects anew.
  void Forget(const std::shared_ptr<grpc::Channel>& used) {
    const MutexLock lock(mutex);
    if (channel == used) channel = nullptr;
  }

  const BrokerEndpoint endpoint;
  Mutex mutex;
  std::shared_ptr<grpc::Channel> channel ABSL_GUARDED_BY(mutex) = {};
};

void GrpcBrokerClient::SilenceLibrary() { SilenceGrpcLibrary(); }

GrpcBrokerClient::GrpcBrokerClient(BrokerEndpoint endpoint)
    : state_(new State{.endpoint = std::move(endpoint)}) {}
GrpcBrokerClient::~GrpcBrokerClient() = default;

absl::StatusOr<BootstrapGrant> GrpcBrokerClient::Claim(const NodeClaim& claim,
                                                       absl::Duration timeout) {
  v1::ClaimTokenRequest request;
  request.set_ticket(std::string(claim.ticket.text().Reveal()));
  request.set_node_name(claim.node_name);
  request.set_certificate_signing_request(claim.csr_pem);
  const absl::Time end = ExecutionNow() + timeout;
  const std::shared_ptr<grpc::Channel> channel = state_->Channel();
  AwaitConnection(*channel, std::min(timeout / 2, kConnectPatience));
  grpc::ClientContext context;
  // By the clock only here: it may have been set during the wait.
  context.set_deadline(
      absl::ToChronoTime(absl::Now() + (end - ExecutionNow())));
  v1::ClaimTokenResponse response;
  const grpc::Status status = v1::NodeBootstrap::NewStub(channel)->ClaimToken(
      &context, request, &response);
  Wipe(*request.mutable_ticket());
  // A replica that is frozen, or has lost its cluster, keeps its connections;
  // behind the same address there may be another.
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED ||
      status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    state_->Forget(channel);
  }
  LATCHKEY_RETURN_IF_ERROR(FromGrpcStatus(status));
  absl::StatusOr<BootstrapGrant> grant = ToGrant(response);
  Wipe(*response.mutable_bootstrap_token());
  return grant;
}

}  // namespace latchkey
