// The last step of a join, where it is wanted: asking the API server who it
// takes the new credential for.

#ifndef LATCHKEY_CLIENTS_NODE_CREDENTIAL_PROOF_H_
#define LATCHKEY_CLIENTS_NODE_CREDENTIAL_PROOF_H_

#include <string_view>

#include <absl/status/status.h>

#include "clients/kubernetes/kubernetes_client.h"

namespace latchkey {

// Asks by a SelfSubjectReview (authentication.k8s.io/v1, Kubernetes 1.28 and
// later), as `client`, which uses the credential. OK: it is the node's.
// kPermissionDenied: the server does not accept it, or takes it for somebody
// else. kUnimplemented: the server knows no such review. kAborted: the node may
// not ask, as an API server that has just started, and does not know its roles
// yet, says to everybody. Else it could not be asked.
absl::Status ProveCredential(KubernetesClient& client,
                             std::string_view node_name);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_NODE_CREDENTIAL_PROOF_H_
