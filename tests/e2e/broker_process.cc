#include "tests/e2e/broker_process.h"

#include <signal.h>

#include <regex>
#include <stdexcept>

#include <fmt/format.h>

#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

constexpr char kConfig[] = R"(cluster:
  kubeconfig: {kubeconfig}
  name: test
provisioner_api:
  listen: 127.0.0.1:{provisioner_port}
  certificate_file: {certificate}
  private_key_file: {private_key}
  client_ca_file: {ca}
node_api:
  listen: 127.0.0.1:{node_port}
  certificate_file: {certificate}
  private_key_file: {private_key}
tokens:
  join_window: {join_window}
  fetch_grace: {fetch_grace}
policy:
  - name: workers
    provisioners:
      - spiffe_id: {autoscaler}
    allow:
      node_names: ["worker-*"]
      groups: [system:bootstrappers:pool-a]
      delivery: [ticket, direct]
      max_token_lifetime: 2h
{more_policy}{more_config}log:
  level: {log_level}
)";

// The number after `key` in the log line "broker listens".
int PortIn(const std::string& log, const std::string& key) {
  std::smatch match;
  const std::regex pattern("\"" + key + "\":\"([0-9]+)\"");
  return std::regex_search(log, match, pattern) ? std::stoi(match[1]) : 0;
}

}  // namespace

std::string BuiltProgram(const std::string& name) {
  return std::string(LATCHKEY_BIN_DIR) + "/" + name;
}

absl::StatusOr<std::string> GrantBrokerAccess(const ControlPlane& cluster,
                                              const TempDir& dir) {
  const ProgramResult roles = cluster.Run(
      {"kubectl", "apply", "-f",
       std::string(LATCHKEY_SOURCE_DIR) + "/deploy/kubernetes/rbac.yaml"});
  if (roles.exit_code != 0) return absl::InternalError(roles.err);
  // The file is written once: a day is longer than any test.
  const ProgramResult token =
      cluster.Run({"kubectl", "-n", "kube-system", "create", "token",
                   "--duration=24h", "latchkey"});
  if (token.exit_code != 0) return absl::InternalError(token.err);
  return dir.Write(
      "broker.kubeconfig",
      fmt::format("apiVersion: v1\nkind: Config\n"
                  "clusters: [{{name: c, cluster: {{server: \"{}\", "
                  "certificate-authority: \"{}\"}}}}]\n"
                  "users: [{{name: u, user: {{tokenFile: \"{}\"}}}}]\n"
                  "contexts: [{{name: x, context: {{cluster: c, "
                  "user: u}}}}]\ncurrent-context: x\n",
                  cluster.url(), cluster.Path("pki/ca.crt"),
                  dir.Write("broker.token", token.out)));
}

BrokerProcess::BrokerProcess(const TestPki& pki, const Options& options) {
  const IdentityFiles server = pki.Save("server", pki.Server());
  const std::string config = dir_.Write(
      "broker.yaml",
      fmt::format(kConfig, fmt::arg("kubeconfig", options.kubeconfig),
                  fmt::arg("provisioner_port", options.provisioner_port),
                  fmt::arg("node_port", options.node_port),
                  fmt::arg("certificate", server.certificate),
                  fmt::arg("private_key", server.private_key),
                  fmt::arg("ca", pki.ca_file()),
                  fmt::arg("join_window", options.join_window),
                  fmt::arg("fetch_grace", options.fetch_grace),
                  fmt::arg("autoscaler", kAutoscaler),
                  fmt::arg("more_policy", options.more_policy),
                  fmt::arg("more_config", options.more_config),
                  fmt::arg("log_level", options.log_level)));
  // A daemon does not watch its standard input, so setpriv sees to it that it
  // dies with the test.
  command_ = {"setpriv",  "--pdeathsig", "KILL", BuiltProgram(options.program),
              "--config", config};
  if (options.open_files != 0) {
    command_.insert(
        command_.begin(),
        {"prlimit", fmt::format("--nofile={}", options.open_files)});
  }
  environment_ = options.environment;
  StartAgain();
  const auto ended = [this] {
    return process_->AwaitExit(absl::ZeroDuration()).has_value();
  };
  WaitUntil(
      [&] {
        return ended() || Log().find("broker serves") != std::string::npos;
      },
      absl::Seconds(60));
  if (ended() || Log().find("broker serves") == std::string::npos) {
    throw std::runtime_error("latchkeyd did not come up:\n" + Log());
  }
  provisioner_port_ = PortIn(Log(), "provisioner_port");
  node_port_ = PortIn(Log(), "node_port");
  metrics_port_ = PortIn(Log(), "metrics_port");
}

BrokerProcess::~BrokerProcess() {
  if (process_ != nullptr) Stop(SIGTERM);
}

void BrokerProcess::StartAgain() {
  auto started = ChildProcess::Start(command_, {.environment = environment_,
                                                .stdout_path = log_file_,
                                                .stderr_path = log_file_});
  if (!started.ok()) throw std::runtime_error(started.status().ToString());
  process_ = *std::move(started);
}

void BrokerProcess::Stop(int signal) {
  process_->Signal(signal);
  process_->AwaitExit(absl::Seconds(20));
}

}  // namespace latchkey_testing
