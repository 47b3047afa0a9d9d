#include "server/broker.h"

#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "clients/files/read_file.h"
#include "clients/kubernetes/file_api_access.h"
#include "clients/kubernetes/http_kubernetes_client.h"
#include "clients/kubernetes/retrying_kubernetes_client.h"
#include "core/status_macros.h"
#include "core/thread_pool.h"
#include "crypto/certificate.h"
#include "server/grpc_listener.h"
#include "services/authenticator.h"
#include "services/csr_approver.h"
#include "services/fair_queue.h"
#include "services/join_controller.h"
#include "services/misuse.h"
#include "services/node_bootstrap_service.h"
#include "services/record_index.h"
#include "services/token_administration.h"
#include "services/token_broker.h"
#include "services/token_broker_service.h"
#include "services/token_events.h"
#include "services/token_upkeep.h"
#include "services/watch_tokens_call.h"
#include "storage/kubernetes_token_store.h"

namespace latchkey {
namespace {

// Of one request to the API server: a caller waits behind it, and so does the
// end of the program.
constexpr absl::Duration kRequestTime = absl::Seconds(10);
// The largest requests: a thousand items of BatchIssueTokens, with room for
// labels and groups; and a claim, which is a ticket, a name and a CSR of 16
// KiB.
constexpr int kMaxBatchBytes = 4 << 20;
constexpr int kMaxClaimBytes = 64 << 10;

}  // namespace

// In dependency order, so that each part goes before what it stands on: first
// the ports, then the calls in hand, then the watches.
struct Broker::Parts {
  Parts(const BrokerConfig& config, const Clock& clock,
        std::shared_ptr<ApiAccess> access, ClusterEndpoints endpoints,
        std::vector<std::unique_ptr<JwtVerifier>> issuers)
      : http_client(std::move(access), {.request_timeout = kRequestTime}),
        client(http_client, {}),
        cluster(std::move(endpoints)),
        store(client),
        policy(Policy(config.policy)),
        misuse(store, policy, clock),
        token_broker({.token_group = config.token_group,
                      .join_window = config.join_window},
                     store, policy, misuse, index, clock),
        administration(client, store, policy, clock),
        approver({.token_group = config.token_group}, client, store, misuse,
                 clock),
        upkeep({.fetch_grace = config.fetch_grace}, client, store, clock),
        events({}, http_client),
        watches({}, events, policy),
        controller({}, http_client, approver, upkeep, index, events, clock),
        provisioner_pool(PoolOptions(config)),
        batch_queue(
            {.threads = static_cast<size_t>(config.max_calls),
             .max_waiting = static_cast<size_t>(config.max_waiting_calls)}),
        node_pool(PoolOptions(config)),
        authenticator(
            MakeServiceAccountVerifier(config.authentication, client, clock),
            std::move(issuers), clock),
        provisioner_service(token_broker, administration, watches,
                            authenticator, cluster, provisioner_pool, batch_queue),
        node_service(token_broker, cluster, node_pool) {}

  static ThreadPool::Options PoolOptions(const BrokerConfig& config) {
    return {.threads = static_cast<size_t>(config.max_calls),
            .max_queued = static_cast<size_t>(config.max_waiting_calls)};
  }

  HttpKubernetesClient http_client;
  RetryingKubernetesClient client;
  ClusterEndpoints cluster;
  KubernetesTokenStore store;
  LivePolicy policy;
  MisuseGuard misuse;
  RecordIndex index;
  TokenBroker token_broker;
  TokenAdministration administration;
  CsrApprover approver;
  TokenUpkeep upkeep;
  TokenEvents events;
  TokenWatches watches;
  JoinController controller;
  // One a port: strangers on the node port cannot starve provisioners.
  ThreadPool provisioner_pool;
  FairQueue batch_queue;
  ThreadPool node_pool;
  Authenticator authenticator;
  TokenBrokerService provisioner_service;
  NodeBootstrapService node_service;
  std::unique_ptr<GrpcListener> provisioner_port;
  std::unique_ptr<GrpcListener> node_port;
};

namespace {

// What machines are told: as configured, else as the broker itself does it.
absl::StatusOr<ClusterEndpoints> EndpointsOf(const BrokerConfig& config,
                                             const FileApiAccess& own) {
  ClusterEndpoints endpoints{
      .api_servers = config.api_servers,
      .certificate_authorities = own.certificate_authorities(),
      .name = config.cluster_name};
  if (endpoints.api_servers.empty()) endpoints.api_servers = {own.server()};
  if (!config.cluster_ca_file.empty()) {
    LATCHKEY_ASSIGN_OR_RETURN(
        endpoints.certificate_authorities,
        ReadFileBounded(config.cluster_ca_file, Certificate::kMaxPemBytes));
  }
  LATCHKEY_RETURN_IF_ERROR(
      Certificate::ParseAll(endpoints.certificate_authorities).status());
  return endpoints;
}

// Whoever may bring a bearer token need not bring a certificate.
ClientCertificates ProvisionerCertificates(const BrokerConfig& config) {
  if (config.provisioner_api.client_ca_file.empty()) {
    return ClientCertificates::kNotAsked;
  }
  return config.authentication.TakesBearerTokens()
             ? ClientCertificates::kOptional
             : ClientCertificates::kRequired;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Broker>> Broker::Start(
    const BrokerConfig& config, const Clock& clock) {
  LATCHKEY_ASSIGN_OR_RETURN(
      std::shared_ptr<FileApiAccess> access,
      FileApiAccess::Create(
          {.kubeconfig_path = config.kubeconfig, .user_agent = "latchkeyd"},
          clock));
  LATCHKEY_ASSIGN_OR_RETURN(ClusterEndpoints endpoints,
                            EndpointsOf(config, *access));
  LATCHKEY_ASSIGN_OR_RETURN(auto issuers,
                            MakeJwtVerifiers(config.authentication, clock));
  auto parts =
      std::make_unique<Parts>(config, clock, std::move(access),
                              std::move(endpoints), std::move(issuers));
  LATCHKEY_ASSIGN_OR_RETURN(
      parts->provisioner_port,
      GrpcListener::Start(config.provisioner_api,
                          ProvisionerCertificates(config),
                          parts->provisioner_service, kMaxBatchBytes));
  LATCHKEY_ASSIGN_OR_RETURN(
      parts->node_port,
      GrpcListener::Start(config.node_api, ClientCertificates::kNotAsked,
                          parts->node_service, kMaxClaimBytes));
  return std::unique_ptr<Broker>(new Broker(std::move(parts)));
}

Broker::Broker(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Broker::~Broker() {
  // Both ports at once; their destructors then wait for the calls in hand.
  parts_->provisioner_port->RefuseNewCalls();
  parts_->node_port->RefuseNewCalls();
  parts_->watches.Stop();
}

int Broker::provisioner_port() const {
  return parts_->provisioner_port->port();
}

int Broker::node_port() const { return parts_->node_port->port(); }

LivePolicy& Broker::policy() { return parts_->policy; }

bool Broker::ReportHealth() {
  const bool serving = parts_->controller.fresh();
  parts_->provisioner_port->SetServing(serving);
  parts_->node_port->SetServing(serving);
  return serving;
}

}  // namespace latchkey
