#include "bench/site.h"

#include <exception>
#include <utility>

#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <fmt/format.h>
#include <grpcpp/client_context.h>

#include "bench/load.h"
#include "clients/broker/broker_channel.h"
#include "clients/broker/grpc_error.h"
#include "clients/kubernetes/file_api_access.h"
#include "clients/kubernetes/http_kubernetes_client.h"
#include "core/status_macros.h"
#include "crypto/random.h"
#include "latchkey/v1/token_broker.grpc.pb.h"
#include "storage/token_secret.h"

namespace latchkey_bench {

using latchkey_testing::BrokerProcess;
using latchkey_testing::ControlPlane;

absl::StatusOr<std::unique_ptr<ControlPlane>> StartControlPlane(
    Approver approver, double manager_qps) {
  if (ControlPlane::ProgramPath().empty()) {
    return absl::FailedPreconditionError(
        "there is no control plane to measure against: set "
        "LATCHKEY_CONTROLPLANE to what tests/controlplane/build.sh builds");
  }
  return ControlPlane::Start({.stock_approver = approver == Approver::kStock,
                              .manager_qps = manager_qps,
                              .durable = true});
}

absl::StatusOr<std::unique_ptr<Site>> Site::Start(
    double manager_qps, const std::string& more_policy) {
  std::unique_ptr<Site> site(new Site());
  LATCHKEY_ASSIGN_OR_RETURN(
      site->cluster_, StartControlPlane(Approver::kLatchkey, manager_qps));
  LATCHKEY_ASSIGN_OR_RETURN(
      const std::string kubeconfig,
      latchkey_testing::GrantBrokerAccess(*site->cluster_, site->dir_));
  try {
    site->broker_ = std::make_unique<BrokerProcess>(
        site->pki_, BrokerProcess::Options{.kubeconfig = kubeconfig,
                                           .more_policy = more_policy,
                                           .log_level = "info"});
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
  return site;
}

absl::StatusOr<std::unique_ptr<latchkey::KubernetesClient>>
Site::BrokersClient() const {
  LATCHKEY_ASSIGN_OR_RETURN(
      std::unique_ptr<latchkey::FileApiAccess> access,
      latchkey::FileApiAccess::Create(
          {.kubeconfig_path = dir_.File("broker.kubeconfig")}, clock_));
  return std::make_unique<latchkey::HttpKubernetesClient>(std::move(access));
}

std::shared_ptr<grpc::Channel> Site::ProvisionerChannel(
    const std::string& who) const {
  const latchkey::IssuedIdentity identity = pki_.Client(who);
  return latchkey::OpenBrokerChannel(
      {.endpoint = broker_->provisioner_endpoint(),
       .certificate_authorities = pki_.ca_pem(),
       .certificate_pem = identity.certificate_pem,
       .private_key_pem = identity.private_key_pem});
}

latchkey::v1::IssueTokenRequest TicketRequest(const std::string& node_name,
                                              const std::string& request_id) {
  latchkey::v1::IssueTokenRequest request;
  request.mutable_scope()->set_node_name(node_name);
  request.set_request_id(request_id);
  return request;
}

absl::StatusOr<latchkey::v1::IssueTokenResponse> IssueToken(
    const std::shared_ptr<grpc::Channel>& channel,
    const latchkey::v1::IssueTokenRequest& request) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(30)));
  latchkey::v1::IssueTokenResponse response;
  LATCHKEY_RETURN_IF_ERROR(latchkey::FromGrpcStatus(
      latchkey::v1::TokenBroker::NewStub(channel)->IssueToken(&context, request,
                                                              &response)));
  return response;
}

absl::Status IssueTokens(const std::shared_ptr<grpc::Channel>& channel,
                         const std::string& node_name, int count) {
  const std::string run(latchkey::RandomBase36(16).Reveal());
  latchkey::v1::BatchIssueTokensRequest request;
  for (int i = 0; i < count; ++i) {
    *request.add_requests() =
        TicketRequest(node_name, fmt::format("{}-{:08}", run, i));
  }
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Minutes(2)));
  latchkey::v1::BatchIssueTokensResponse response;
  LATCHKEY_RETURN_IF_ERROR(latchkey::FromGrpcStatus(
      latchkey::v1::TokenBroker::NewStub(channel)->BatchIssueTokens(
          &context, request, &response)));
  for (const auto& result : response.results()) {
    if (!result.has_issued()) {
      return absl::InternalError(result.error().message());
    }
  }
  return absl::OkStatus();
}

absl::Status RemoveTokens(latchkey::KubernetesClient& client) {
  using latchkey::kubernetes::Secret;
  using latchkey::kubernetes::SecretList;
  LATCHKEY_ASSIGN_OR_RETURN(
      const SecretList all,
      client.List<SecretList>(
          {.name_space = std::string(latchkey::kTokenNamespace),
           .field_selector = std::string(latchkey::kTokenFieldSelector)}));
  return RunLoad({.count = all.items_size(), .at_once = 16},
                 [&](int i) {
                   return client.Delete<Secret>(
                       {std::string(latchkey::kTokenNamespace),
                        all.items(i).metadata().name()});
                 })
      .status();
}

}  // namespace latchkey_bench
