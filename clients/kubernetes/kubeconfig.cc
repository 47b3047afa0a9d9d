#include "clients/kubernetes/kubeconfig.h"

#include <filesystem>
#include <memory>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/escaping.h>
#include <fmt/format.h>

#include "clients/files/read_file.h"
#include "core/config_reader.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

std::string Resolve(const std::string& kubeconfig, const std::string& path) {
  // An absolute path replaces the folder altogether.
  return (std::filesystem::path(kubeconfig).parent_path() / path).string();
}

// The entry of that name in a list of the kubeconfig, or nothing and a mistake.
std::optional<ConfigReader> FindNamed(const ConfigReader& root,
                                      std::string_view list,
                                      const std::string& name) {
  for (const ConfigReader& entry : root.Sections(list)) {
    if (entry.String("name", "") == name) return entry;
  }
  root.Mistake(list, fmt::format("has no entry with the name '{}'", name));
  return std::nullopt;
}

void Refuse(const ConfigReader& section, std::string_view field,
            std::string_view why) {
  if (section.Has(field)) section.Mistake(field, why);
}

// `field`-data holds base64 and goes before `field`, which holds a path.
ConfiguredBytes BytesOrPath(const ConfigReader& section,
                            const std::string& field,
                            const std::string& kubeconfig) {
  ConfiguredBytes result;
  const std::string data_field = field + "-data";
  std::string encoded = section.String(data_field, "");
  std::string path = section.String(field, "");
  if (!encoded.empty()) {
    std::string decoded;
    if (absl::Base64Unescape(encoded, &decoded) && !decoded.empty()) {
      result.inline_bytes = SecretString(decoded);
    } else {
      section.Mistake(data_field, "is not base64");
    }
    Wipe(decoded);
    Wipe(encoded);
  } else if (!path.empty()) {
    result.path = Resolve(kubeconfig, path);
  }
  return result;
}

void ReadCluster(const ConfigReader& cluster, const std::string& kubeconfig,
                 ApiServerConfig& config) {
  config.server = cluster.RequiredString("server");
  if (!config.server.empty() && !config.server.starts_with("https://")) {
    cluster.Mistake("server", "must begin with https://");
  }
  config.tls_server_name = cluster.String("tls-server-name", "");
  config.certificate_authority =
      BytesOrPath(cluster, "certificate-authority", kubeconfig);
  if (cluster.Bool("insecure-skip-tls-verify", false)) {
    cluster.Mistake("insecure-skip-tls-verify",
                    "is not supported: name the certificate-authority");
  }
  Refuse(cluster, "proxy-url", "is not supported");
}

void ReadUser(const ConfigReader& user, const std::string& kubeconfig,
              ApiServerConfig& config) {
  config.client_certificate =
      BytesOrPath(user, "client-certificate", kubeconfig);
  config.client_key = BytesOrPath(user, "client-key", kubeconfig);
  if (config.client_certificate.empty() != config.client_key.empty()) {
    user.Mistake("",
                 "has one of client-certificate and client-key: it needs "
                 "both or none");
  }
  std::string token = user.String("token", "");
  config.token.inline_bytes = SecretString(token);
  Wipe(token);
  if (const std::string path = user.String("tokenFile", ""); !path.empty()) {
    config.token.path = Resolve(kubeconfig, path);
  }
  for (const char* field : {"exec", "auth-provider", "username", "password"}) {
    Refuse(user, field,
           "is not supported: use a client certificate, token or tokenFile");
  }
  for (const char* field : {"as", "as-uid", "as-groups", "as-user-extra"}) {
    Refuse(user, field, "is not supported: we would act with other rights");
  }
}

}  // namespace

absl::StatusOr<ApiServerConfig> ParseKubeconfig(const std::string& path,
                                                std::string_view text) {
  LATCHKEY_ASSIGN_OR_RETURN(const auto document,
                            ConfigDocument::Parse(path, text));
  const ConfigReader root = document->root();
  ApiServerConfig config;
  if (root.String("kind", "Config") != "Config") {
    root.Mistake("kind", "must be Config");
  }
  const std::string current = root.RequiredString("current-context");
  const auto context =
      current.empty() ? std::nullopt : FindNamed(root, "contexts", current);
  if (context) {
    const ConfigReader names = context->Section("context");
    const std::string cluster = names.RequiredString("cluster");
    const std::string user = names.RequiredString("user");
    if (!cluster.empty()) {
      const auto entry = FindNamed(root, "clusters", cluster);
      if (entry) ReadCluster(entry->Section("cluster"), path, config);
    }
    if (!user.empty()) {
      const auto entry = FindNamed(root, "users", user);
      if (entry) ReadUser(entry->Section("user"), path, config);
    }
  }
  LATCHKEY_RETURN_IF_ERROR(
      document->Finish(ConfigDocument::UnknownFields::kAllow));
  return config;
}

absl::StatusOr<ApiServerConfig> LoadKubeconfig(const std::string& path) {
  LATCHKEY_ASSIGN_OR_RETURN(std::string text,
                            ReadFileBounded(path, kMaxKubeconfigBytes));
  auto config = ParseKubeconfig(path, text);
  Wipe(text);
  return config;
}

absl::StatusOr<ApiServerConfig> InClusterConfig(
    const EnvironmentLookup& environment, const std::string& folder) {
  const auto host = environment("KUBERNETES_SERVICE_HOST");
  const auto port = environment("KUBERNETES_SERVICE_PORT");
  if (!host || host->empty() || !port || port->empty()) {
    return absl::FailedPreconditionError(
        "not in a cluster: KUBERNETES_SERVICE_HOST and "
        "KUBERNETES_SERVICE_PORT are not set");
  }
  const bool is_ipv6 = host->find(':') != std::string::npos;
  ApiServerConfig config;
  config.server = is_ipv6 ? fmt::format("https://[{}]:{}", *host, *port)
                          : fmt::format("https://{}:{}", *host, *port);
  config.certificate_authority.path = folder + "/ca.crt";
  config.token.path = folder + "/token";
  return config;
}

}  // namespace latchkey
