#include "clients/ctl/doctor_command.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <absl/status/statusor.h>
#include <absl/time/clock.h>
#include <fmt/format.h>

#include "clients/ctl/arguments.h"
#include "clients/ctl/cures.h"
#include "clients/doctor/access_checks.h"
#include "clients/doctor/doctor.h"
#include "clients/doctor/local_certificates.h"
#include "clients/doctor/report.h"
#include "clients/doctor/shown_text.h"
#include "clients/files/read_file.h"
#include "clients/http/curl_http_client.h"
#include "clients/kubernetes/credential_files.h"
#include "clients/kubernetes/http_kubernetes_client.h"
#include "clients/kubernetes/kubeconfig.h"
#include "clients/kubernetes/retrying_kubernetes_client.h"
#include "clients/process/stop_signals.h"
#include "core/clock.h"
#include "core/config_reader.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

// As typed.
struct DoctorFlags {
  std::string kubeconfig;
  std::string broker_config;
  std::string broker_account;
  std::string output = "table";  // or json
  bool active = false;
};

constexpr absl::Duration kRequestTimeout = absl::Seconds(20);

std::optional<std::string> Environment(const std::string& name) {
  const char* value = getenv(name.c_str());
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

// That of the broker, if it is known; else the one that kubectl would take.
// Empty: the ServiceAccount of this pod.
std::string KubeconfigPath(const DoctorFlags& flags, const BrokerFile& broker) {
  if (!flags.kubeconfig.empty()) return flags.kubeconfig;
  if (!broker.kubeconfig.empty()) return broker.kubeconfig;
  if (const auto path = Environment("KUBECONFIG")) return *path;
  const std::string own = Environment("HOME").value_or("") + "/.kube/config";
  const bool in_pod = Environment("KUBERNETES_SERVICE_HOST").has_value();
  return in_pod && access(own.c_str(), R_OK) != 0 ? "" : own;
}

absl::StatusOr<BrokerFile> ReadBrokerFile(const std::string& path) {
  if (path.empty()) return BrokerFile();
  LATCHKEY_ASSIGN_OR_RETURN(const std::string text,
                            ReadFileBounded(path, ConfigDocument::kMaxBytes));
  return ParseBrokerFile(path, text);
}

// An account that was named is the broker's; else that of rbac.yaml.
std::string AccountOf(const DoctorFlags& flags) {
  if (flags.broker_account == "self") return "";
  return flags.broker_account.empty() ? kBrokerAccount : flags.broker_account;
}

// How to log in to the one API server.
class Server {
 public:
  explicit Server(ApiCredentials credentials)
      : credentials_(std::move(credentials)) {}

  const ApiCredentials& credentials() const { return credentials_; }

  absl::StatusOr<std::shared_ptr<HttpClient>> Connect() const {
    CurlHttpClientOptions options = Options();
    options.client_certificate_pem = credentials_.client_certificate_pem;
    options.client_key_pem = credentials_.client_key_pem;
    return CurlHttpClient::Create(std::move(options));
  }
  // With a token, and without the client certificate, which would go first.
  absl::StatusOr<std::unique_ptr<KubernetesClient>> Login(
      const SecretString& token) const {
    LATCHKEY_ASSIGN_OR_RETURN(std::shared_ptr<HttpClient> http,
                              CurlHttpClient::Create(Options()));
    return ClientOver(std::move(http), token);
  }
  static std::unique_ptr<KubernetesClient> ClientOver(
      std::shared_ptr<HttpClient> http, const SecretString& token) {
    return std::make_unique<HttpKubernetesClient>(
        std::make_shared<FixedApiAccess>(
            ApiSession{.http = std::move(http), .bearer_token = token}),
        HttpKubernetesClient::Options{.request_timeout = kRequestTimeout});
  }

 private:
  CurlHttpClientOptions Options() const {
    return {.base_url = credentials_.server,
            .ca_pem = credentials_.ca_pem,
            .tls_server_name = credentials_.tls_server_name,
            .user_agent = "latchkeyctl",
            .connect_timeout = absl::Seconds(5),
            .max_connections = 2};
  }

  const ApiCredentials credentials_;
};

absl::StatusOr<ApiCredentials> LoadCredentials(const std::string& path) {
  LATCHKEY_ASSIGN_OR_RETURN(
      const ApiServerConfig config,
      path.empty() ? InClusterConfig(Environment) : LoadKubeconfig(path));
  return ReadCredentials(config);
}

std::vector<LocalCertificates> CertificatesOf(const ApiCredentials& credentials,
                                              const BrokerFile& broker) {
  std::vector<LocalCertificates> all;
  if (!credentials.ca_pem.empty()) {
    all.push_back({.where = "the kubeconfig's authority",
                   .pem = credentials.ca_pem,
                   .advice = "renew the cluster's authority, and hand it to "
                             "all who trust the old one"});
  }
  if (!credentials.client_certificate_pem.empty()) {
    all.push_back({.where = "the kubeconfig's client certificate",
                   .pem = credentials.client_certificate_pem,
                   .advice = "get a new kubeconfig (on kubeadm: kubeadm certs "
                             "renew admin.conf)"});
  }
  for (const std::string& path : broker.certificate_files) {
    all.push_back(CertificatesOfFile(
        path, "replace the file; latchkeyd reads it again by itself"));
  }
  for (const std::string& path : broker.issuer_ca_files) {
    all.push_back(CertificatesOfFile(
        path, "replace the file, and start latchkeyd again"));
  }
  return all;
}

// Waits, unless a signal came: the first one is remembered.
class Stop {
 public:
  explicit Stop(bool listen) {
    if (listen) signals_.emplace({SIGINT, SIGTERM, SIGHUP});
  }

  bool Wait(absl::Duration duration) {
    if (signals_.has_value() && !signal_.has_value()) {
      signal_ = signals_->WaitFor(duration);
    } else {
      absl::SleepFor(duration);
    }
    return !signal_.has_value();
  }
  std::optional<int> signal() const { return signal_; }

 private:
  std::optional<StopSignals> signals_;
  std::optional<int> signal_;
};

int ExitCodeOf(Severity worst) {
  switch (worst) {
    case Severity::kOk:
    case Severity::kInfo:
      return 0;
    case Severity::kWarning:
      return 1;
    case Severity::kError:
      return 3;
  }
  return 3;
}

absl::StatusOr<int> Run(const DoctorFlags& flags, std::ostream& out,
                        std::ostream& err) {
  // Before the first thread: those of libcurl are not to get the signals.
  Stop stop(flags.active);
  LATCHKEY_ASSIGN_OR_RETURN(BrokerFile broker,
                            ReadBrokerFile(flags.broker_config));
  const std::string path = KubeconfigPath(flags, broker);
  const bool is_named = !flags.kubeconfig.empty() || !broker.kubeconfig.empty();
  LATCHKEY_ASSIGN_OR_RETURN(ApiCredentials credentials, LoadCredentials(path));
  err << fmt::format(
      "looking at {}, by {}\n", Shown(credentials.server),
      path.empty() ? "the ServiceAccount of this pod" : Shown(path));
  const Server server(std::move(credentials));
  LATCHKEY_ASSIGN_OR_RETURN(const auto http, server.Connect());
  const SecretString& token = server.credentials().token;
  const auto plain = Server::ClientOver(http, token);
  RetryingKubernetesClient client(*plain, {});
  const SystemClock clock;
  const BearerLogin login = [&](const SecretString& bearer) {
    return server.Login(bearer);
  };
  const Pause pause = [&](absl::Duration time) { return stop.Wait(time); };

  std::vector<LocalCertificates> certificates =
      CertificatesOf(server.credentials(), broker);
  // Else they are among these already.
  if (!broker.kubeconfig.empty() && broker.kubeconfig != path) {
    for (auto& one : CertificatesOfBrokersKubeconfig(broker.kubeconfig)) {
      certificates.push_back(std::move(one));
    }
  }
  DoctorOptions options{.broker_account = AccountOf(flags),
                        .active = flags.active,
                        .certificates = std::move(certificates)};
  options.broker = std::move(broker);
  Findings findings = Examine(options, {.client = client,
                                        .http = *http,
                                        .bearer_token = token,
                                        .login = login,
                                        .pause = pause,
                                        .clock = clock});
  if (is_named) NameKubeconfig(path, findings);
  const std::string report =
      flags.output == "json" ? JsonOf(findings) : TableOf(findings);
  out << report;
  if (stop.signal().has_value()) return 128 + *stop.signal();
  return ExitCodeOf(WorstOf(findings));
}

}  // namespace

void AddDoctorCommand(CLI::App& app, CommandContext& context) {
  const auto flags = std::make_shared<DoctorFlags>();
  CLI::App* command = app.add_subcommand(
      "doctor", "find what is wrong with a cluster for Latchkey");
  command->footer(
      "It asks the API server, and changes nothing without --active:\n"
      "  latchkeyctl doctor --kubeconfig ~/.kube/config\n"
      "  latchkeyctl doctor --config /etc/latchkey/broker.yaml\n"
      "  latchkeyctl doctor --active\n"
      "Output:\n"
      "  latchkeyctl doctor -o json | jq -r '.findings[].commands[]'\n"
      "Exit codes: 0 nothing worse than info, 1 warnings, 2 wrong arguments or "
      "configuration, 3 errors, 128+n stopped by signal n. docs/doctor.md "
      "explains each finding.");
  AsPath(command->add_option("--kubeconfig", flags->kubeconfig,
                             "the cluster (default: that of --config, "
                             "$KUBECONFIG, ~/.kube/config, or that of this "
                             "pod)"));
  AsPath(command->add_option("--config", flags->broker_config,
                             "a broker.yaml, for its cluster, groups and "
                             "certificates"));
  command->add_option(
      "--broker-account", flags->broker_account,
      fmt::format("whose rights to look at (default {}); self: those of the "
                  "kubeconfig's user",
                  kBrokerAccount));
  command->add_flag("--active", flags->active,
                    "also make a bootstrap token that may nothing, and a "
                    "certificate request if there is none to judge by, see "
                    "what becomes of them, and remove them");
  command->add_option("-o,--output", flags->output, "table (default) or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->group("Output");
  command->callback([&context, flags] {
    context.run = [&context, flags]() -> absl::StatusOr<int> {
      auto code = Run(*flags, context.out, context.err);
      // Nothing was looked at: what was typed has to be mended.
      if (!code.ok()) {
        return WithCure(
            absl::InvalidArgumentError(std::string(code.status().message())),
            "name a kubeconfig with --kubeconfig or $KUBECONFIG, and with "
            "--config a broker.yaml that latchkeyd --check takes; "
            "docs/doctor.md explains both");
      }
      return code;
    };
  });
}

}  // namespace latchkey
