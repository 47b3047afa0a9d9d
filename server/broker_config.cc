#include "server/broker_config.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "core/config_reader.h"
#include "core/status_macros.h"
#include "core/token_scope.h"
#include "policy/policy_file.h"
#include "policy/policy_self_test.h"
#include "services/token_broker.h"

namespace latchkey {
namespace {

void CheckListen(const ConfigReader& section, std::string_view listen) {
  const size_t colon = listen.rfind(':');
  const std::string_view port =
      colon == std::string_view::npos ? "" : listen.substr(colon + 1);
  const bool digits = !port.empty() && port.size() <= 5 &&
                      std::all_of(port.begin(), port.end(),
                                  [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || colon == 0 || std::stoi(std::string(port)) > 65535) {
    section.Mistake("listen", "not an address and port such as 127.0.0.1:7443");
  }
}

enum class ClientCa { kNone, kOptional, kRequired };

ListenerConfig ReadListener(const ConfigReader& section,
                            std::string_view default_listen, ClientCa ca) {
  ListenerConfig listener;
  listener.listen = section.String("listen", default_listen);
  CheckListen(section, listener.listen);
  listener.certificate_file = section.RequiredString("certificate_file");
  listener.private_key_file = section.RequiredString("private_key_file");
  if (ca == ClientCa::kRequired) {
    listener.client_ca_file = section.RequiredString("client_ca_file");
  } else if (ca == ClientCa::kOptional) {
    listener.client_ca_file = section.String("client_ca_file", "");
  }
  return listener;
}

void ReadCluster(const ConfigReader& section, BrokerConfig& config) {
  config.kubeconfig = section.String("kubeconfig", "");
  config.cluster_name = section.String("name", "");
  config.api_servers = section.Strings("api_servers");
  config.cluster_ca_file = section.String("ca_file", "");
  for (const std::string& url : config.api_servers) {
    if (url.substr(0, 8) != "https://") {
      section.Mistake("api_servers",
                      "each is an https URL such as https://10.0.0.1:6443");
    }
  }
}

void ReadTokens(const ConfigReader& section, BrokerConfig& config) {
  config.token_group = section.String("group", config.token_group);
  if (!IsBootstrapGroup(config.token_group)) {
    section.Mistake(
        "group", "must match system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]");
  }
  config.join_window = section.Duration("join_window", config.join_window,
                                        absl::Minutes(1), absl::Hours(24));
  config.fetch_grace = section.Duration("fetch_grace", config.fetch_grace,
                                        absl::Seconds(1), absl::Minutes(10));
}

void ReadConnections(const ConfigReader& section, BrokerConfig& config) {
  constexpr char kAll[] = "connections";
  constexpr char kOfPeer[] = "connections_per_peer";
  constexpr int64_t kFewest = 16;
  constexpr int64_t kMost = 500'000;
  if (section.Has(kAll)) {
    config.max_connections =
        static_cast<size_t>(section.Int(kAll, kFewest, kFewest, kMost));
  }
  if (!section.Has(kOfPeer)) return;
  const auto of_peer = static_cast<size_t>(section.Int(kOfPeer, 1, 1, kMost));
  config.max_connections_of_peer = of_peer;
  if (of_peer > config.max_connections.value_or(of_peer)) {
    section.Mistake(kOfPeer, "more than limits.connections");
  }
}

void ReadLimits(const ConfigReader& section, BrokerConfig& config) {
  config.max_calls =
      static_cast<int>(section.Int("calls", config.max_calls, 1, 1024));
  config.max_waiting_calls = static_cast<int>(
      section.Int("waiting_calls", config.max_waiting_calls, 0, 100'000));
  ReadConnections(section, config);
  const ConfigReader peer = section.Section("machines");
  constexpr int64_t kMost = 1'000'000;
  constexpr double kSecondsAMinute = 60;
  config.peer_rate.per_second =
      static_cast<double>(peer.Int("per_minute", 6000, 1, kMost)) /
      kSecondsAMinute;
  config.peer_rate.burst =
      static_cast<double>(peer.Int("burst", 1000, 1, kMost));
}

void ReadAudit(const ConfigReader& section, AuditConfig& audit) {
  audit.file = section.String("file", "");
  audit.fsync = section.Bool("fsync", true);
  audit.fail_closed = section.Bool("fail_closed", true);
  if (audit.file.empty() &&
      (section.Has("fsync") || section.Has("fail_closed"))) {
    section.Mistake("file",
                    "needed: a path such as "
                    "/var/log/latchkey/audit.log, or stderr");
  }
}

LogLevel ReadLogLevel(const ConfigReader& section) {
  const std::string name =
      section.Choice("level", "info", {"debug", "info", "warning", "error"});
  return LogLevelNamed(name).value_or(LogLevel::kInfo);
}

}  // namespace

absl::StatusOr<BrokerConfig> ParseBrokerConfig(
    std::string_view name, std::string_view text,
    const AuthenticationConfig* in_force) {
  LATCHKEY_ASSIGN_OR_RETURN(const std::unique_ptr<ConfigDocument> document,
                            ConfigDocument::Parse(name, text));
  const ConfigReader root = document->root();
  BrokerConfig config;
  ReadCluster(root.Section("cluster"), config);
  config.authentication = ReadAuthentication(root.Section("authentication"));
  config.provisioner_api = ReadListener(
      root.Section("provisioner_api"), "127.0.0.1:7443",
      config.authentication.TakesBearerTokens() ? ClientCa::kOptional
                                                : ClientCa::kRequired);
  config.node_api =
      ReadListener(root.Section("node_api"), "127.0.0.1:7444", ClientCa::kNone);
  ReadTokens(root.Section("tokens"), config);
  const AuthenticationConfig& authentication =
      in_force != nullptr ? *in_force : config.authentication;
  PolicyFile policy = ReadPolicyFile(
      root, {.mapped_attributes = authentication.MappedAttributes(),
             .jwt_issuers = authentication.JwtIssuers()});
  ReadLimits(root.Section("limits"), config);
  ReadAudit(root.Section("audit"), config.audit);
  if (const ConfigReader metrics = root.Section("metrics");
      root.Has("metrics")) {
    config.metrics_listen = metrics.String("listen", "127.0.0.1:7445");
    CheckListen(metrics, config.metrics_listen);
  }
  config.reflection = root.Bool("reflection", false);
  config.log_level = ReadLogLevel(root.Section("log"));
  LATCHKEY_RETURN_IF_ERROR(document->Finish());
  LATCHKEY_RETURN_IF_ERROR(
      RunPolicySelfTests(policy.tests, Policy(policy.rules)));
  config.policy = std::move(policy.rules);
  return config;
}

}  // namespace latchkey
