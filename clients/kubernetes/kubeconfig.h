// Where an API server is and who we are to it, as a kubeconfig or the place of
// a pod in a cluster says.

#ifndef LATCHKEY_CLIENTS_KUBERNETES_KUBECONFIG_H_
#define LATCHKEY_CLIENTS_KUBERNETES_KUBECONFIG_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "core/secret_string.h"

namespace latchkey {

// Something that is in a file of its own, or within the configuration, or not
// at all.
struct ConfiguredBytes {
  std::string path;
  SecretString inline_bytes;

  bool empty() const { return path.empty() && inline_bytes.empty(); }
};

struct ApiServerConfig {
  std::string server;  // https://host[:port][/path]
  // The name that the server's certificate must have; empty: the host.
  std::string tls_server_name;
  // PEM; empty: the authorities that the system trusts.
  ConfiguredBytes certificate_authority;
  // PEM; both or none.
  ConfiguredBytes client_certificate;
  ConfiguredBytes client_key;
  // A path goes first; the bytes serve where it cannot be read.
  ConfiguredBytes token;
};

inline constexpr size_t kMaxKubeconfigBytes = 1 << 20;

// The current context of the kubeconfig `text`. `path` is its file: for
// messages, and relative paths in it start from the file's folder.
//
// kInvalidArgument with every mistake, a line each. What we would have to do
// otherwise than it says is a mistake too: insecure-skip-tls-verify, proxy-url,
// exec, auth-provider, username, password and impersonation are refused.
absl::StatusOr<ApiServerConfig> ParseKubeconfig(const std::string& path,
                                                std::string_view text);

// Reads it from the file, of at most kMaxKubeconfigBytes.
absl::StatusOr<ApiServerConfig> LoadKubeconfig(const std::string& path);

// A variable of the environment.
using EnvironmentLookup =
    std::function<std::optional<std::string>(const std::string& name)>;

// Where Kubernetes puts a pod's service account.
inline constexpr char kServiceAccountFolder[] =
    "/var/run/secrets/kubernetes.io/serviceaccount";

// For a pod: the server from KUBERNETES_SERVICE_HOST and _PORT, the token and
// the authority from `folder`. kFailedPrecondition outside of a cluster.
absl::StatusOr<ApiServerConfig> InClusterConfig(
    const EnvironmentLookup& environment,
    const std::string& folder = kServiceAccountFolder);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_KUBERNETES_KUBECONFIG_H_
