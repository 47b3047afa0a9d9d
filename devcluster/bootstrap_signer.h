// bootstrap-signer: signs the kubeconfig in kube-public/cluster-info with each
// token that is for signing, so that whoever has such a token can tell that the
// cluster is the right one.

#ifndef LATCHKEY_DEVCLUSTER_BOOTSTRAP_SIGNER_H_
#define LATCHKEY_DEVCLUSTER_BOOTSTRAP_SIGNER_H_

#include <map>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "clients/kubernetes/kubernetes_client.h"

namespace latchkey {

inline constexpr std::string_view kClusterInfoName = "cluster-info";

// A JWS (RFC 7515) by HMAC-SHA256 with its payload left out (appendix F).
std::string DetachedSignature(std::string_view payload, std::string_view id,
                              std::string_view secret);

// Not safe for concurrent use.
class BootstrapSigner {
 public:
  // `client` must outlive this.
  explicit BootstrapSigner(KubernetesClient& client) : client_(client) {}

  // Takes note of the Secret `name`, which came, changed or went (null).
  void Note(const std::string& name, const kubernetes::Secret* secret);

  // Brings the signatures in cluster-info, in its latest state, up to date;
  // nothing without a kubeconfig in it. Errors are the API server's.
  absl::Status Handle(const kubernetes::ConfigMap& cluster_info,
                      absl::Time now);

 private:
  struct SigningToken {
    std::string id;
    std::string secret;
    absl::Time expiration;
  };

  KubernetesClient& client_;
  std::map<std::string, SigningToken> tokens_;  // by the Secret's name
};

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_BOOTSTRAP_SIGNER_H_
