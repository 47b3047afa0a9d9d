#include "server/broker.h"

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "audit/file_audit_log.h"
#include "clients/kubernetes/file_api_access.h"
#include "clients/kubernetes/http_kubernetes_client.h"
#include "clients/kubernetes/retrying_kubernetes_client.h"
#include "clients/log/event_log.h"
#include "clients/process/open_files.h"
#include "core/status_macros.h"
#include "server/cluster_files.h"
#include "server/cluster_probe.h"
#include "server/connection_limits.h"
#include "server/grpc_listener.h"
#include "server/metrics_server.h"
#include "services/authenticator.h"
#include "services/broker_metrics.h"
#include "services/call_credentials.h"
#include "services/call_frame.h"
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
constexpr absl::Duration kProbeTime = absl::Seconds(5);
// The largest requests: a thousand items of BatchIssueTokens, with room for
// labels and groups; and a claim, which is a ticket, a name and a CSR of 16
// KiB.
constexpr int kMaxBatchBytes = 4 << 20;
constexpr int kMaxClaimBytes = 64 << 10;
// A machine's business takes seconds; a provisioner may watch for as long as it
// likes, and resumes its watch where it ended.
constexpr absl::Duration kProvisionerConnectionAge = absl::Hours(12);
constexpr absl::Duration kNodeConnectionAge = absl::Minutes(30);

// As metrics and log lines name the ports.
constexpr char kProvisionerPort[] = "provisioner";
constexpr char kNodePort[] = "node";

}  // namespace

// In dependency order, so that each part goes before what it stands on: first
// the ports, then the calls in hand, then the watches.
struct Broker::Parts {
  Parts(const BrokerConfig& config, const Clock& clock,
        std::unique_ptr<BrokerMetrics> counters,
        std::unique_ptr<AuditLog> audit_log, std::shared_ptr<ApiAccess> access,
        std::unique_ptr<ClusterFiles> cluster_files,
        std::vector<std::unique_ptr<JwtVerifier>> issuers)
      : metrics(std::move(counters)),
        audit(std::move(audit_log)),
        http_client(access, {.request_timeout = kRequestTime}),
        probe_client(std::move(access), {.request_timeout = kProbeTime}),
        client(http_client, {}),
        cluster(std::move(cluster_files)),
        store(client),
        policy(Policy(config.policy)),
        misuse(store, policy, *audit, clock),
        index([shown = metrics.get()](absl::Duration lag) {
          shown->MintSeen(lag);
        }),
        token_broker({.token_group = config.token_group,
                      .join_window = config.join_window},
                     store, policy, misuse, index, clock),
        approver({.token_group = config.token_group, .metrics = metrics.get()},
                 client, store, misuse, *audit, clock),
        administration(client, store, approver, policy, clock),
        upkeep({.fetch_grace = config.fetch_grace}, client, store, *audit,
               clock),
        events({}, http_client),
        watches({}, events, policy, clock),
        controller({.metrics = metrics.get()}, http_client, approver, upkeep,
                   index, events, clock),
        batch_queue(QueueOptions(config)),
        authenticator(
            MakeServiceAccountVerifier(config.authentication, client, clock),
            std::move(issuers), clock),
        callers(authenticator),
        provisioner_frame(FrameOptions(config), callers, *audit, *metrics,
                          clock),
        node_frame(FrameOptions(config), callers, *audit, *metrics, clock),
        provisioner_service(
            token_broker, administration, watches,
            [this] { return cluster->Current(); }, batch_queue,
            provisioner_frame),
        node_service(
            token_broker, [this] { return cluster->Current(); }, node_frame) {}

  // One that floods leaves threads free for the others, and it takes four to
  // fill the queue.
  static FairQueue::Options QueueOptions(const BrokerConfig& config) {
    const auto threads = static_cast<size_t>(config.max_calls);
    const auto waiting = static_cast<size_t>(config.max_waiting_calls);
    return {.threads = threads,
            .max_running_of_one = (3 * threads + 3) / 4,
            .max_waiting = waiting,
            .max_waiting_of_one = (waiting + 3) / 4};
  }

  CallFrame::Options FrameOptions(const BrokerConfig& config) const {
    CallFrame::Options options;
    options.queue = QueueOptions(config);
    options.peer_rate = config.peer_rate;
    options.rate_of = [this](const Identity& caller)
        -> std::optional<CallFrame::Options::CallerRate> {
      const auto allowed = policy.Current()->RateOf(caller);
      if (!allowed.has_value()) return std::nullopt;
      constexpr double kSecondsAMinute = 60;
      return CallFrame::Options::CallerRate{
          .rate = {.per_second =
                       static_cast<double>(allowed->limit.per_minute) /
                       kSecondsAMinute,
                   .burst = static_cast<double>(allowed->limit.burst)},
          .observed = allowed->mode == PolicyMode::kObserve};
    };
    return options;
  }

  // What is scraped, as it stands now.
  void Update(BrokerMetrics& shown) const {
    for (const auto& [port, frame] :
         {std::pair(kProvisionerPort, &provisioner_frame),
          std::pair(kNodePort, &node_frame)}) {
      const FairQueue::Load load = frame->load();
      shown.SetQueue(port, load.waiting, load.busy);
    }
    shown.SetConnections(kProvisionerPort,
                         provisioner_port->CountConnections());
    shown.SetConnections(kNodePort, node_port->CountConnections());
    shown.SetReachable(probe.reachable());
    const WorkerPool::Load approver_load = controller.approver_load();
    shown.SetBacklog("approver", approver_load.waiting, approver_load.retrying);
    const WorkerPool::Load upkeep_load = controller.upkeep_load();
    shown.SetBacklog("upkeep", upkeep_load.waiting, upkeep_load.retrying);
    const RecordIndex::Counts counts = index.CountsByState();
    for (size_t state = 0; state < counts.size(); ++state) {
      shown.SetRecords(TokenStateName(static_cast<TokenState>(state)),
                       counts[state]);
    }
  }

  const std::unique_ptr<BrokerMetrics> metrics;
  const std::unique_ptr<AuditLog> audit;
  HttpKubernetesClient http_client;
  HttpKubernetesClient probe_client;
  RetryingKubernetesClient client;
  const std::unique_ptr<ClusterFiles> cluster;
  KubernetesTokenStore store;
  LivePolicy policy;
  MisuseGuard misuse;
  RecordIndex index;
  TokenBroker token_broker;
  CsrApprover approver;
  TokenAdministration administration;
  TokenUpkeep upkeep;
  TokenEvents events;
  TokenWatches watches;
  JoinController controller;
  ClusterProbe probe{probe_client};
  FairQueue batch_queue;
  Authenticator authenticator;
  CredentialAuthenticator callers;
  // One a port: strangers on the node port cannot starve provisioners.
  CallFrame provisioner_frame;
  CallFrame node_frame;
  TokenBrokerService provisioner_service;
  NodeBootstrapService node_service;
  std::unique_ptr<GrpcListener> provisioner_port;
  std::unique_ptr<GrpcListener> node_port;
  std::atomic<bool> ready = false;  // as last reported
  // What NotePolicy() could not record yet; of its thread.
  std::optional<AuditEvent> unrecorded_policy;
  std::unique_ptr<MetricsServer> metrics_port;
};

namespace {

absl::StatusOr<std::unique_ptr<AuditLog>> OpenAudit(const AuditConfig& config,
                                                    BrokerMetrics& metrics,
                                                    const Clock& clock) {
  if (config.file.empty()) return std::make_unique<NoAuditLog>();
  LATCHKEY_ASSIGN_OR_RETURN(
      std::unique_ptr<FileAuditLog> log,
      FileAuditLog::Open(
          {.file = config.file,
           .fsync = config.fsync,
           .fail_closed = config.fail_closed,
           .on_lost =
               [&metrics](size_t records, const absl::Status& why) {
                 metrics.AuditLost(records);
                 LogEvent(LogLevel::kError, "audit records not written",
                          {{"records", std::to_string(records)},
                           {"status", why.ToString()}});
               }},
          clock));
  // Noted where the file is not: records that are cut off from its end leave no
  // trace in it.
  const AuditHead head = log->head();
  LogEvent(LogLevel::kInfo, "audit log open",
           {{"file", config.file},
            {"sequence", std::to_string(head.sequence)},
            {"hash", head.hash}});
  return log;
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
    const BrokerConfig& config, const Clock& clock,
    std::span<const RpcDeclaration> declared) {
  LATCHKEY_RETURN_IF_ERROR(CheckRpcTable(declared));
  LATCHKEY_ASSIGN_OR_RETURN(
      std::shared_ptr<FileApiAccess> access,
      FileApiAccess::Create(
          {.kubeconfig_path = config.kubeconfig, .user_agent = "latchkeyd"},
          clock));
  LATCHKEY_ASSIGN_OR_RETURN(std::unique_ptr<ClusterFiles> cluster,
                            ClusterFiles::Create(config, access, clock));
  LATCHKEY_ASSIGN_OR_RETURN(auto issuers,
                            MakeJwtVerifiers(config.authentication, clock));
  auto metrics = std::make_unique<BrokerMetrics>();
  LATCHKEY_ASSIGN_OR_RETURN(std::unique_ptr<AuditLog> audit,
                            OpenAudit(config.audit, *metrics, clock));
  auto parts = std::make_unique<Parts>(config, clock, std::move(metrics),
                                       std::move(audit), std::move(access),
                                       std::move(cluster), std::move(issuers));
  parts->metrics->OnScrape(
      [at = parts.get()](BrokerMetrics& shown) { at->Update(shown); });
  if (config.reflection) LATCHKEY_RETURN_IF_ERROR(EnableReflection());
  LATCHKEY_ASSIGN_OR_RETURN(
      const ConnectionLimits connections,
      FitConnections(config.max_connections, config.max_connections_of_peer,
                     OpenFilesAllowed()));
  const auto options_of = [&](const char* port, int max_request_bytes,
                              absl::Duration age) {
    return GrpcListenerOptions{
        .name = port,
        .max_request_bytes = max_request_bytes,
        .connections = connections,
        .on_refused =
            [metrics = parts->metrics.get(), port](ConnectionRefusal why) {
              metrics->ConnectionRefused(port, ConnectionRefusalName(why));
            },
        .greatest_age = age};
  };
  LATCHKEY_ASSIGN_OR_RETURN(
      parts->provisioner_port,
      GrpcListener::Start(config.provisioner_api,
                          ProvisionerCertificates(config),
                          parts->provisioner_service,
                          options_of(kProvisionerPort, kMaxBatchBytes,
                                     kProvisionerConnectionAge)));
  LATCHKEY_ASSIGN_OR_RETURN(
      parts->node_port,
      GrpcListener::Start(
          config.node_api, ClientCertificates::kNotAsked, parts->node_service,
          options_of(kNodePort, kMaxClaimBytes, kNodeConnectionAge)));
  if (!config.metrics_listen.empty()) {
    LATCHKEY_ASSIGN_OR_RETURN(
        parts->metrics_port,
        MetricsServer::Start(
            config.metrics_listen,
            {.metrics = [at = parts.get()] { return at->metrics->Text(); },
             .ready = [at = parts.get()] { return at->ready.load(); }}));
  }
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

int Broker::metrics_port() const {
  return parts_->metrics_port == nullptr ? 0 : parts_->metrics_port->port();
}

LivePolicy& Broker::policy() { return parts_->policy; }

void Broker::NotePolicy(bool in_use, std::string_view digest) {
  AuditEvent event;
  event.action = "policy.reload";
  event.verdict = in_use ? AuditVerdict::kAllowed : AuditVerdict::kDenied;
  event.facts["digest"] = std::string(digest);
  if (in_use) {
    parts_->metrics->PolicyLoaded(digest);
  } else {
    parts_->metrics->PolicyRefused();
  }
  parts_->unrecorded_policy.reset();  // this one is the news now
  if (!parts_->audit->Record(event).ok()) {
    parts_->unrecorded_policy = std::move(event);
  }
}

Broker::Health Broker::ReportHealth() {
  const JoinController& controller = parts_->controller;
  const bool recorded = parts_->audit->Ready().ok();
  if (recorded && parts_->unrecorded_policy.has_value() &&
      parts_->audit->Record(*parts_->unrecorded_policy).ok()) {
    parts_->unrecorded_policy.reset();
  }
  const bool reachable = parts_->probe.reachable();
  // Tokens can be minted without a look at CSRs, but a machine that claims one
  // now needs its CSR approved.
  const bool mints = recorded && reachable && controller.records_fresh();
  const bool joins = recorded && reachable && controller.fresh();
  parts_->provisioner_port->SetServing(v1::TokenBroker::service_full_name(),
                                       mints);
  parts_->node_port->SetServing(v1::NodeBootstrap::service_full_name(), joins);
  parts_->ready = joins;
  if (joins) return Health::kServing;
  return recorded ? Health::kNoCluster : Health::kNoAuditLog;
}

}  // namespace latchkey
