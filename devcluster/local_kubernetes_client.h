// A KubernetesClient of an ApiServer in the same process, as one user of it.

#ifndef LATCHKEY_DEVCLUSTER_LOCAL_KUBERNETES_CLIENT_H_
#define LATCHKEY_DEVCLUSTER_LOCAL_KUBERNETES_CLIENT_H_

#include <memory>

#include "clients/kubernetes/kubernetes_client.h"
#include "devcluster/api_server.h"
#include "devcluster/user.h"

namespace latchkey {

// `server` must outlive the client and its watches. No threads: everything but
// WatchStream::Next() answers at once, and that does too with a timeout of 0.
std::unique_ptr<KubernetesClient> MakeLocalKubernetesClient(ApiServer& server,
                                                            User user);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_LOCAL_KUBERNETES_CLIENT_H_
