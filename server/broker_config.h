// broker.yaml: everything that latchkeyd can be told.

#ifndef LATCHKEY_SERVER_BROKER_CONFIG_H_
#define LATCHKEY_SERVER_BROKER_CONFIG_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/log/event_log.h"
#include "policy/policy.h"
#include "server/authentication_config.h"
#include "services/rate_limiter.h"
#include "services/token_upkeep.h"

namespace latchkey {

// One gRPC port. Paths are of PEM files, read again when they change.
struct ListenerConfig {
  // address:port; port 0 takes a free one.
  std::string listen;
  std::string certificate_file;
  std::string private_key_file;
  // The authorities of client certificates. Required for provisioners unless
  // they may bring bearer tokens; the node port asks for none.
  std::string client_ca_file;
};

// See FileAuditLog::Options. Without a file there is no audit log.
struct AuditConfig {
  std::string file;
  bool fsync = true;
  bool fail_closed = true;
};

struct BrokerConfig {
  // Empty: the ServiceAccount of the pod that the broker runs in.
  std::string kubeconfig;
  // What machines are told of the cluster. Default: the server and authorities
  // of the kubeconfig.
  std::string cluster_name;
  std::vector<std::string> api_servers;
  std::string cluster_ca_file;

  ListenerConfig provisioner_api;
  ListenerConfig node_api;
  AuthenticationConfig authentication;

  // See TokenBroker::Options and TokenUpkeep::Options.
  std::string token_group = "system:bootstrappers:latchkey";
  absl::Duration join_window = absl::Minutes(15);
  absl::Duration fetch_grace = TokenUpkeep::Options().fetch_grace;

  std::vector<PolicyRule> policy;

  // Calls worked on at once, and calls that wait for their turn. One caller has
  // three quarters of the first, which is more than a batch's window
  // (services/batch_issue.h).
  int max_calls = 96;
  int max_waiting_calls = 1024;
  // Of each port, all together and of one peer. See FitConnections().
  std::optional<size_t> max_connections;
  std::optional<size_t> max_connections_of_peer;
  // Of one peer (services/peer_key.h) on the node port.
  Rate peer_rate{.per_second = 100, .burst = 1000};

  AuditConfig audit;
  // Where /metrics, /healthz and /readyz are served, over plain HTTP; empty:
  // nowhere.
  std::string metrics_listen;
  // Clients may ask which RPCs there are (grpc.reflection).
  bool reflection = false;

  LogLevel log_level = LogLevel::kInfo;
};

// kInvalidArgument with every mistake in `text`, a line each: file, line,
// field, what is wrong and what would be right; of a file without mistakes,
// every self-test of the policy that fails. `name` stands for the file. Files
// that it names are not opened here. The policy is judged by `in_force`, if
// that is given, instead of by the file's own `authentication`.
absl::StatusOr<BrokerConfig> ParseBrokerConfig(
    std::string_view name, std::string_view text,
    const AuthenticationConfig* in_force = nullptr);

}  // namespace latchkey

#endif  // LATCHKEY_SERVER_BROKER_CONFIG_H_
