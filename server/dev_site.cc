#include "server/dev_site.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <arpa/inet.h>
#include <fmt/format.h>

#include "clients/files/durable_file.h"
#include "clients/log/event_log.h"
#include "core/status_macros.h"
#include "devcluster/dev_cluster.h"
#include "devcluster/user.h"

namespace latchkey {
namespace {

constexpr char kProvisioner[] = "spiffe://latchkey.example/provisioner";
constexpr char kNode[] = "worker-1";
constexpr absl::Duration kLifetime = absl::Hours(30 * 24);
// Nobody registers a Node here, so that a certificate counts as fetched soon.
constexpr absl::Duration kFetchGrace = absl::Seconds(2);

constexpr mode_t kPrivateFile = 0600;
constexpr mode_t kPrivateFolder = 0700;

bool IsIpv6(std::string_view address) {
  return address.find(':') != std::string_view::npos;
}

std::string HostPort(const std::string& address, int port) {
  return IsIpv6(address) ? fmt::format("[{}]:{}", address, port)
                         : fmt::format("{}:{}", address, port);
}

// An IP address, and neither "any of mine" nor IPv4 in the clothes of IPv6.
bool IsCallable(const std::string& address) {
  in_addr v4 = {};
  if (inet_pton(AF_INET, address.c_str(), &v4) == 1) {
    return v4.s_addr != htonl(INADDR_ANY);
  }
  in6_addr v6 = {};
  return inet_pton(AF_INET6, address.c_str(), &v6) == 1 &&
         !IN6_IS_ADDR_UNSPECIFIED(&v6) && !IN6_IS_ADDR_V4MAPPED(&v6);
}

// The port `offset` after the first; 0 stays "any".
int PortAfter(const DevSiteOptions& options, int offset) {
  return options.port == 0 ? 0 : options.port + offset;
}

// Makes the folder, with what is missing above it, unless it is there. One that
// is there stays as it is, and must be ours and nobody else's: whoever else may
// write to it would have the keys in it.
absl::Status MakePrivateFolder(const std::string& path) {
  const auto unusable = [&path](std::string_view why) {
    return absl::InvalidArgumentError(fmt::format("{}: {}", path, why));
  };
  std::filesystem::path folder(path);
  // "dev/" is the folder "dev", and not one within it.
  if (!folder.has_filename()) folder = folder.parent_path();
  const std::string parent = folder.parent_path();
  if (const absl::Status made = EnsureDirectory(parent); !made.ok()) {
    return absl::InvalidArgumentError(std::string(made.message()));
  }
  if (mkdir(path.c_str(), kPrivateFolder) == 0) return absl::OkStatus();
  if (errno != EEXIST) {
    return unusable(fmt::format("cannot make the folder: {}",
                                std::generic_category().message(errno)));
  }
  struct stat found = {};
  if (lstat(path.c_str(), &found) != 0 || !S_ISDIR(found.st_mode)) {
    return unusable("is no folder");
  }
  if (found.st_uid != geteuid() || (found.st_mode & 077) != 0) {
    return unusable(
        "others may use this folder, and it would hold keys; name one that is "
        "yours alone (chmod 700), or that is not there yet");
  }
  return absl::OkStatus();
}

// As one word of a shell's command line.
std::string ShellWord(std::string_view text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+=";
  if (!text.empty() &&
      text.find_first_not_of(kPlain) == std::string_view::npos) {
    return std::string(text);
  }
  std::string word = "'";
  for (const char c : text) {
    word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return word + "'";
}

// The program as a shell can start it: by its path, where it stands beside this
// one.
std::string ProgramWord(const std::string& name) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto beside = self.parent_path() / name;
  if (error || !std::filesystem::exists(beside, error)) return name;
  return ShellWord(beside.string());
}

// Writes the files of the folder.
class SiteFiles {
 public:
  explicit SiteFiles(std::string dir) : dir_(std::move(dir)) {}

  std::string Path(std::string_view name) const {
    return fmt::format("{}/{}", dir_, name);
  }
  absl::Status Write(std::string_view name, std::string_view content) const {
    return WriteFileDurably(Path(name), content, kPrivateFile);
  }
  // NAME.crt and NAME.key.
  absl::Status WriteIdentity(std::string_view name,
                             const IssuedIdentity& identity) const {
    LATCHKEY_RETURN_IF_ERROR(
        Write(fmt::format("{}.crt", name), identity.certificate_pem));
    return Write(fmt::format("{}.key", name),
                 identity.private_key_pem.Reveal());
  }
  absl::Status WriteKubeconfig(std::string_view name, const DevCluster& cluster,
                               const User& user) const {
    LATCHKEY_ASSIGN_OR_RETURN(const SecretString text,
                              cluster.KubeconfigFor(user, kLifetime));
    return Write(name, text.Reveal());
  }

 private:
  const std::string dir_;
};

absl::Status WriteCredentials(const SiteFiles& files, const DevCluster& cluster,
                              const std::string& address, absl::Time now) {
  LATCHKEY_RETURN_IF_ERROR(
      files.Write("ca.crt", cluster.ca().certificate_pem()));
  LATCHKEY_RETURN_IF_ERROR(
      files.WriteKubeconfig("admin.kubeconfig", cluster, AdminUser()));
  LATCHKEY_RETURN_IF_ERROR(
      files.WriteKubeconfig("broker.kubeconfig", cluster, BrokerUser()));
  const absl::Time from = now - absl::Minutes(5);
  const absl::Time until = now + kLifetime;
  LATCHKEY_ASSIGN_OR_RETURN(const IssuedIdentity broker,
                            cluster.ca().Issue({.common_name = "latchkeyd",
                                                .dns_names = {"localhost"},
                                                .ip_addresses = {address},
                                                .not_before = from,
                                                .not_after = until,
                                                .server_auth = true}));
  LATCHKEY_RETURN_IF_ERROR(files.WriteIdentity("broker", broker));
  LATCHKEY_ASSIGN_OR_RETURN(const IssuedIdentity provisioner,
                            cluster.ca().Issue({.common_name = "provisioner",
                                                .uris = {kProvisioner},
                                                .not_before = from,
                                                .not_after = until,
                                                .client_auth = true}));
  return files.WriteIdentity("provisioner", provisioner);
}

BrokerConfig ConfigOf(const SiteFiles& files, const DevCluster& cluster,
                      const DevSiteOptions& options) {
  BrokerConfig config;
  config.kubeconfig = files.Path("broker.kubeconfig");
  config.cluster_name = "latchkey-dev";
  config.api_servers = {cluster.url()};
  config.provisioner_api = {
      .listen = HostPort(options.address, PortAfter(options, 1)),
      .certificate_file = files.Path("broker.crt"),
      .private_key_file = files.Path("broker.key"),
      .client_ca_file = files.Path("ca.crt")};
  config.node_api = {.listen = HostPort(options.address, PortAfter(options, 2)),
                     .certificate_file = files.Path("broker.crt"),
                     .private_key_file = files.Path("broker.key"),
                     .client_ca_file = {}};
  config.fetch_grace = kFetchGrace;
  // Everybody comes from this machine.
  config.max_connections_of_peer = std::numeric_limits<size_t>::max();
  IdentityMatcher provisioner;
  provisioner.attributes.emplace(attribute::kSpiffeId, kProvisioner);
  config.policy = {{.name = "dev",
                    .provisioners = {std::move(provisioner)},
                    .node_names = {"*"},
                    .groups = {},
                    .delivery = {Delivery::kTicket, Delivery::kDirect},
                    .max_token_lifetime = absl::Hours(24)}};
  return config;
}

// A JSON string is a YAML string too.
std::string Quoted(const std::string& text) { return JsonString(text); }

std::string CtlConfigText(const SiteFiles& files, const std::string& endpoint,
                          const std::string& node_endpoint) {
  return fmt::format(
      "broker:\n"
      "  endpoint: {}\n"
      "  ca_file: {}\n"
      "  node_endpoint: {}\n"
      "identity:\n"
      "  certificate_file: {}\n"
      "  private_key_file: {}\n",
      Quoted(endpoint), Quoted(files.Path("ca.crt")), Quoted(node_endpoint),
      Quoted(files.Path("provisioner.crt")),
      Quoted(files.Path("provisioner.key")));
}

std::string JoinConfigText(const SiteFiles& files,
                           const std::string& endpoint) {
  const std::string output = files.Path(kNode);
  return fmt::format(
      "node_name: {}\n"
      "broker:\n"
      "  endpoint: {}\n"
      "  ca_file: {}\n"
      "ticket_file: {}\n"
      "output:\n"
      "  cert_dir: {}\n"
      "  kubeconfig: {}\n"
      "  ca_file: {}\n",
      kNode, Quoted(endpoint), Quoted(files.Path("ca.crt")),
      Quoted(files.Path("ticket")), Quoted(output + "/pki"),
      Quoted(output + "/kubelet.conf"), Quoted(output + "/ca.crt"));
}

}  // namespace

absl::Status ParseListen(std::string_view listen, DevSiteOptions& options) {
  const absl::Status wrong = absl::InvalidArgumentError(
      fmt::format("--listen {}: must be an IP address that clients can call, "
                  "with a port or without, such as 127.0.0.1:9443",
                  listen));
  std::string_view address = listen;
  std::string_view port;
  const bool bracketed = !listen.empty() && listen.front() == '[';
  const bool one_colon = std::ranges::count(listen, ':') == 1;
  if (bracketed) {
    const size_t end = listen.find(']');
    if (end == std::string_view::npos) return wrong;
    address = listen.substr(1, end - 1);
    if (!IsIpv6(address)) return wrong;
    port = listen.substr(end + 1);
    if (!port.empty() && port.front() != ':') return wrong;
  } else if (one_colon) {
    address = listen.substr(0, listen.find(':'));
    port = listen.substr(listen.find(':'));
  }
  const std::string host(address);
  if (!IsCallable(host)) return wrong;
  uint16_t number = options.port;
  if (!port.empty()) {
    port.remove_prefix(1);
    const char* end = port.data() + port.size();
    const auto parsed = std::from_chars(port.data(), end, number);
    // Two more follow.
    constexpr uint16_t kLast = 65533;
    if (parsed.ec != std::errc() || parsed.ptr != end || number > kLast) {
      return wrong;
    }
  }
  options.address = host;
  options.port = number;
  return absl::OkStatus();
}

// The broker goes first: it calls the cluster.
struct DevSite::Parts {
  DevSiteOptions options;
  std::unique_ptr<DevCluster> cluster;
  std::unique_ptr<Broker> broker;
};

absl::StatusOr<std::unique_ptr<DevSite>> DevSite::Start(
    const DevSiteOptions& options, const Clock& clock) {
  auto parts = std::make_unique<Parts>();
  parts->options = options;
  LATCHKEY_RETURN_IF_ERROR(MakePrivateFolder(options.dir));
  LATCHKEY_ASSIGN_OR_RETURN(
      parts->cluster,
      DevCluster::Start(
          {.data_dir = options.durable ? options.dir + "/cluster" : "",
           .address = options.address,
           .port = options.port,
           .controllers = {.stock_approver = options.stock_approver},
           .fault_hook = {}},
          clock));
  const SiteFiles files(options.dir);
  LATCHKEY_RETURN_IF_ERROR(
      WriteCredentials(files, *parts->cluster, options.address, clock.Now()));
  LATCHKEY_ASSIGN_OR_RETURN(
      parts->broker,
      Broker::Start(ConfigOf(files, *parts->cluster, options), clock));
  LATCHKEY_RETURN_IF_ERROR(files.Write(
      "latchkeyctl.yaml",
      CtlConfigText(
          files, HostPort(options.address, parts->broker->provisioner_port()),
          HostPort(options.address, parts->broker->node_port()))));
  LATCHKEY_RETURN_IF_ERROR(files.Write(
      "join.yaml",
      JoinConfigText(files,
                     HostPort(options.address, parts->broker->node_port()))));
  return std::unique_ptr<DevSite>(new DevSite(std::move(parts)));
}

DevSite::DevSite(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
DevSite::~DevSite() = default;

Broker& DevSite::broker() { return *parts_->broker; }

std::string DevSite::Guide() const {
  const DevSiteOptions& options = parts_->options;
  const SiteFiles files(options.dir);
  const auto word = [&files](std::string_view name) {
    return ShellWord(files.Path(name));
  };
  return fmt::format(
      "Latchkey for development: an embedded control plane and a broker in\n"
      "this process. Not for production: {dir} has the keys to all of it.\n"
      "\n"
      "  API server    {api}\n"
      "  provisioners  {provisioners}\n"
      "  machines      {machines}\n"
      "  kubeconfig    {kubeconfig}\n"
      "\n"
      "A ticket for a machine, the machine's join, and what came of it:\n"
      "\n"
      "  {latchkeyctl} --config {ctl} issue --node {node} --out {ticket}\n"
      "  {latchkey_join} --config {join}\n"
      "  kubectl --kubeconfig {node_conf} auth whoami\n"
      "  kubectl --kubeconfig {kubeconfig} get csr\n"
      "\n",
      fmt::arg("dir", ShellWord(options.dir)),
      fmt::arg("api", parts_->cluster->url()),
      fmt::arg("provisioners",
               HostPort(options.address, parts_->broker->provisioner_port())),
      fmt::arg("machines",
               HostPort(options.address, parts_->broker->node_port())),
      fmt::arg("kubeconfig", word("admin.kubeconfig")),
      fmt::arg("latchkeyctl", ProgramWord("latchkeyctl")),
      fmt::arg("latchkey_join", ProgramWord("latchkey-join")),
      fmt::arg("ctl", word("latchkeyctl.yaml")), fmt::arg("node", kNode),
      fmt::arg("ticket", word("ticket")), fmt::arg("join", word("join.yaml")),
      fmt::arg("node_conf", word(fmt::format("{}/kubelet.conf", kNode))));
}

}  // namespace latchkey
