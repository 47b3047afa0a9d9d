// The KubernetesClientFactory of the real program.

#ifndef LATCHKEY_CLIENTS_NODE_API_SERVER_CLIENT_H_
#define LATCHKEY_CLIENTS_NODE_API_SERVER_CLIENT_H_

#include <memory>

#include <absl/status/statusor.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "clients/node/cluster_session.h"

namespace latchkey {

// A client of one API server, over HTTPS. See KubernetesClientFactory.
absl::StatusOr<std::unique_ptr<KubernetesClient>> MakeApiServerClient(
    const ApiServerLogin& login);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_NODE_API_SERVER_CLIENT_H_
