#include "clients/ctl/machine_files.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <absl/strings/escaping.h>
#include <fmt/format.h>

#include "clients/ctl/data_tree.h"
#include "clients/ctl/token_text.h"
#include "clients/files/read_file.h"
#include "core/status_macros.h"
#include "crypto/certificate.h"

namespace latchkey {
namespace {

constexpr std::array<std::string_view, 5> kMachineFormats = {
    "cloud-init", "ignition", "systemd", "kubeadm", "env"};

constexpr char kFolder[] = "/etc/latchkey";
constexpr char kUnitName[] = "latchkey-join.service";

// Nothing in it depends on the machine.
constexpr char kUnit[] = R"([Unit]
Description=Join this machine to its Kubernetes cluster
Wants=network-online.target
After=network-online.target
Before=kubelet.service
ConditionPathExists=/etc/latchkey/join.yaml

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/latchkey-join --config /etc/latchkey/join.yaml
# 2: the configuration is wrong; 3: refused. Both would only happen again.
Restart=on-failure
RestartSec=10s
RestartPreventExitStatus=2 3
UMask=0077

[Install]
WantedBy=multi-user.target
)";

struct MachineFile {
  std::string path;
  int mode = 0644;
  std::string content;
};

bool IsDirect(const v1::IssueTokenResponse& response) {
  return response.ticket().empty();
}

// The ticket, or the direct token.
const std::string& CredentialOf(const v1::IssueTokenResponse& response) {
  return IsDirect(response) ? response.bootstrap_token() : response.ticket();
}

std::string WithLineEnd(std::string text) {
  if (text.empty() || text.back() != '\n') text += '\n';
  return text;
}

std::string InFolder(std::string_view name) {
  return fmt::format("{}/{}", kFolder, name);
}

MachineFile CredentialFile(const v1::IssueTokenResponse& response) {
  return {.path = InFolder(IsDirect(response) ? "token" : "ticket"),
          .mode = 0600,
          .content = WithLineEnd(CredentialOf(response))};
}

DataFields JoinConfigOf(const v1::IssueTokenResponse& response,
                        const NodeBroker& broker) {
  const v1::TokenScope& scope = response.token().scope();
  DataFields config = {{"node_name", scope.node_name()}};
  if (!IsDirect(response)) {
    config.emplace_back("broker", DataFields{{"endpoint", broker.endpoint},
                                             {"ca_file", InFolder("ca.crt")}});
    config.emplace_back("ticket_file", InFolder("ticket"));
    return config;
  }
  DataFields direct = {{"api_server", response.cluster().api_servers(0)},
                       {"ca_file", InFolder("ca.crt")},
                       {"token_file", InFolder("token")}};
  if (scope.has_max_certificate_lifetime()) {
    direct.emplace_back(
        "certificate_lifetime",
        fmt::format("{}s", scope.max_certificate_lifetime().seconds()));
  }
  config.emplace_back("direct", std::move(direct));
  return config;
}

// All that latchkey-join reads.
std::vector<MachineFile> JoinFiles(const v1::IssueTokenResponse& response,
                                   const NodeBroker& broker) {
  const std::string& authorities =
      IsDirect(response) ? response.cluster().certificate_authorities()
                         : broker.ca_pem;
  return {CredentialFile(response),
          {.path = InFolder("ca.crt"), .content = WithLineEnd(authorities)},
          {.path = InFolder("join.yaml"),
           .content = ToYaml(JoinConfigOf(response, broker))}};
}

std::string CloudInit(const std::vector<MachineFile>& files) {
  DataList written;
  const auto add = [&written](const MachineFile& file) {
    written.push_back(
        DataFields{{"path", file.path},
                   {"owner", "root:root"},
                   {"permissions", fmt::format("{:04o}", file.mode)},
                   {"content", DataText{file.content}}});
  };
  for (const MachineFile& file : files) add(file);
  add({.path = fmt::format("/etc/systemd/system/{}", kUnitName),
       .content = kUnit});
  const DataFields config = {
      {"write_files", written},
      {"runcmd",
       DataList{DataList{"systemctl", "daemon-reload"},
                DataList{"systemctl", "enable", "--now", kUnitName}}}};
  return "#cloud-config\n" + ToYaml(config);
}

std::string Ignition(const std::vector<MachineFile>& files) {
  DataList written;
  for (const MachineFile& file : files) {
    written.push_back(DataFields{
        {"path", file.path},
        {"mode", file.mode},
        {"contents",
         DataFields{
             {"source", "data:;base64," + absl::Base64Escape(file.content)}}}});
  }
  return ToJson(DataFields{
      {"ignition", DataFields{{"version", "3.3.0"}}},
      {"storage", DataFields{{"files", written}}},
      {"systemd",
       DataFields{{"units", DataList{DataFields{{"name", kUnitName},
                                                {"enabled", true},
                                                {"contents", kUnit}}}}}}});
}

// A line that ends a here-document, and is no line of `content`.
std::string EndMark(const std::string& content) {
  std::string mark = "LATCHKEY_END";
  while (content.find(mark) != std::string::npos) mark += "_";
  return mark;
}

// A here-document with a quoted mark is taken to the letter.
std::string PutFile(const MachineFile& file) {
  const std::string mark = EndMark(file.content);
  return fmt::format("put {} {:o} <<'{}'\n{}{}\n", file.path, file.mode, mark,
                     file.content, mark);
}

// A script that puts the files, and then, on a machine and not in an image,
// runs `then`.
std::string Script(std::string_view purpose,
                   const std::vector<MachineFile>& files,
                   std::string_view then) {
  std::string script = fmt::format(
      "#!/bin/sh\n"
      "# {}\n"
      "# Run it as root. It holds a secret: keep it as such. DESTDIR=/mnt "
      "puts\n"
      "# the files into an image that is mounted there, and starts nothing.\n"
      "set -eu\n"
      "umask 077\n"
      "root=${{DESTDIR:-}}\n"
      "put() {{\n"
      "  (umask 022 && mkdir -p \"$root${{1%/*}}\")\n"
      "  cat >\"$root$1.new\"\n"
      "  chmod \"$2\" \"$root$1.new\"\n"
      "  mv \"$root$1.new\" \"$root$1\"\n"
      "}}\n",
      purpose);
  for (const MachineFile& file : files) script += PutFile(file);
  return script + fmt::format("[ -z \"$root\" ] || exit 0\n{}", then);
}

std::string SystemdScript(std::vector<MachineFile> files) {
  files.push_back({.path = fmt::format("/etc/systemd/system/{}", kUnitName),
                   .content = kUnit});
  return Script(
      "Installs what latchkey-join needs, and its unit.", files,
      fmt::format("systemctl daemon-reload\nsystemctl enable --now {}\n",
                  kUnitName));
}

// Discovery by a file, which has the cluster's certificate authorities: our
// tokens sign no cluster-info, so kubeadm cannot find its cluster by token and
// CA hash.
std::string KubeadmScript(const v1::IssueTokenResponse& response) {
  const DataFields discovery = {
      {"apiVersion", "v1"},
      {"kind", "Config"},
      {"clusters",
       DataList{DataFields{
           {"name", "cluster"},
           {"cluster",
            DataFields{{"server", response.cluster().api_servers(0)},
                       {"certificate-authority-data",
                        absl::Base64Escape(
                            response.cluster().certificate_authorities())}}}}}},
      // kubeadm wants a user to be named; it calls with the token below.
      {"users",
       DataList{DataFields{{"name", "nobody"}, {"user", DataFields{}}}}},
      {"contexts",
       DataList{DataFields{{"name", "cluster"},
                           {"context", DataFields{{"cluster", "cluster"},
                                                  {"user", "nobody"}}}}}},
      {"current-context", "cluster"}};
  const DataFields join = {
      {"apiVersion", "kubeadm.k8s.io/v1beta4"},
      {"kind", "JoinConfiguration"},
      {"discovery",
       DataFields{
           {"file", DataFields{{"kubeConfigPath", InFolder("discovery.conf")}}},
           {"tlsBootstrapToken", response.bootstrap_token()}}},
      {"nodeRegistration",
       DataFields{{"name", response.token().scope().node_name()}}}};
  const std::string config = InFolder("kubeadm-join.yaml");
  return Script("Joins this machine with kubeadm, 1.31 or newer.",
                {{.path = InFolder("discovery.conf"),
                  .mode = 0600,
                  .content = ToYaml(discovery)},
                 {.path = config, .mode = 0600, .content = ToYaml(join)}},
                fmt::format("kubeadm join --config {}\n", config));
}

std::string ShellQuoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::string Env(const v1::IssueTokenResponse& response,
                const NodeBroker& broker) {
  std::string text =
      "# Do not export the secret: other processes can read an environment.\n";
  const auto add = [&text](std::string_view name, std::string_view value) {
    text += fmt::format("{}={}\n", name, ShellQuoted(value));
  };
  add("LATCHKEY_NODE_NAME", response.token().scope().node_name());
  add("LATCHKEY_TOKEN_ID", response.token().id());
  add("LATCHKEY_EXPIRES", TimeText(response.token().expire_time()));
  if (IsDirect(response)) {
    add("LATCHKEY_BOOTSTRAP_TOKEN", response.bootstrap_token());
    add("LATCHKEY_API_SERVER", response.cluster().api_servers(0));
    add("LATCHKEY_CLUSTER_CA", response.cluster().certificate_authorities());
  } else {
    add("LATCHKEY_TICKET", response.ticket());
    add("LATCHKEY_BROKER", broker.endpoint);
    add("LATCHKEY_BROKER_CA", broker.ca_pem);
  }
  return text;
}

absl::Status CheckAnswer(const v1::IssueTokenResponse& response,
                         std::string_view format) {
  const auto senseless = [](std::string_view what) {
    return absl::InternalError(
        fmt::format("the broker's answer makes no sense: it has no {}", what));
  };
  if (CredentialOf(response).empty()) return senseless("ticket and no token");
  if (format == "kubeadm" && !IsDirect(response)) return senseless("token");
  if (!IsMachineFormat(format) || !IsDirect(response)) return absl::OkStatus();
  if (response.cluster().api_servers().empty()) return senseless("API server");
  if (response.cluster().certificate_authorities().empty()) {
    return senseless("certificate authority");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<NodeBroker> ReadNodeBroker(const CtlConfig& config) {
  NodeBroker broker{.endpoint = config.node_endpoint, .ca_pem = {}};
  if (broker.endpoint.empty()) return broker;
  absl::StatusOr<std::string> pem =
      ReadFileBounded(config.node_ca_file, Certificate::kMaxPemBytes);
  const absl::Status status =
      pem.ok() ? Certificate::ParseAll(*pem).status() : pem.status();
  if (!status.ok()) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: {}", config.node_ca_file, std::string(status.message())));
  }
  broker.ca_pem = *std::move(pem);
  return broker;
}

bool IsMachineFormat(std::string_view format) {
  return std::ranges::find(kMachineFormats, format) != kMachineFormats.end();
}

absl::Status CheckMachineFormat(std::string_view format, v1::Delivery delivery,
                                const NodeBroker& broker) {
  if (!IsMachineFormat(format) || delivery == v1::DELIVERY_DIRECT) {
    return absl::OkStatus();
  }
  if (format == "kubeadm") {
    return absl::InvalidArgumentError(
        "kubeadm knows no tickets: add --delivery direct, or use latchkey-join "
        "(-o systemd)");
  }
  if (broker.endpoint.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("-o {} needs to know where machines reach the broker: set "
                    "broker.node_endpoint in latchkeyctl.yaml",
                    format));
  }
  if (broker.ca_pem.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError("broker.node_ca_file holds a NUL byte");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> RenderIssued(const v1::IssueTokenResponse& response,
                                         std::string_view format,
                                         const NodeBroker& broker) {
  LATCHKEY_RETURN_IF_ERROR(CheckAnswer(response, format));
  if (format == "json") return JsonText(response);
  if (format == "yaml") return ToYaml(TreeOf(response));
  if (format == "cloud-init") return CloudInit(JoinFiles(response, broker));
  if (format == "ignition") return Ignition(JoinFiles(response, broker));
  if (format == "systemd") return SystemdScript(JoinFiles(response, broker));
  if (format == "kubeadm") return KubeadmScript(response);
  if (format == "env") return Env(response, broker);
  return CredentialOf(response) + "\n";
}

}  // namespace latchkey
