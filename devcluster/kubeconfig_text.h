// Kubeconfigs, as text.

#ifndef LATCHKEY_DEVCLUSTER_KUBECONFIG_TEXT_H_
#define LATCHKEY_DEVCLUSTER_KUBECONFIG_TEXT_H_

#include <string>
#include <string_view>

#include "core/secret_string.h"
#include "crypto/certificate_authority.h"

namespace latchkey {

// Of somebody who shows `identity` at the API server `url`.
SecretString ClientKubeconfig(std::string_view url, std::string_view ca_pem,
                              const IssuedIdentity& identity);

// Of nobody: what kubeadm publishes as cluster-info, to the letter.
std::string ClusterInfoKubeconfig(std::string_view url,
                                  std::string_view ca_pem);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_KUBECONFIG_TEXT_H_
