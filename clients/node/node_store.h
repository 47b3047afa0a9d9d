// What a joiner keeps on its machine. clients/node/node_files.h is how it is
// done; a simulation has its own.

#ifndef LATCHKEY_CLIENTS_NODE_NODE_STORE_H_
#define LATCHKEY_CLIENTS_NODE_NODE_STORE_H_

#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "crypto/certificate.h"
#include "crypto/private_key.h"

namespace latchkey {

// A credential that the cluster issued, and how to use it.
struct NodeCredential {
  std::string certificates_pem;  // the node's own first
  PrivateKey key;
  std::string api_server;
  std::string ca_pem;
};

// Each write is there whole or not at all. Methods that write want the lock to
// be held. Not safe for concurrent use.
class NodeStore {
 public:
  NodeStore() = default;
  NodeStore(const NodeStore&) = delete;
  NodeStore& operator=(const NodeStore&) = delete;
  virtual ~NodeStore() = default;

  // The certificate of the credential that a kubelet would use, if it fits the
  // node, with the reach of CheckNodeCertificate, and the kubeconfig leads to
  // it. kUnavailable if all of that is so but that it is not valid yet, when
  // the clock is behind, or if a file of them cannot be read now. kNotFound
  // otherwise, saying what is missing. Writes nothing.
  virtual absl::StatusOr<Certificate> FindCredential(std::string_view node_name,
                                                     absl::Time now) const = 0;

  // The lock is held as long as the answer lives. kUnavailable if another
  // process holds it.
  virtual absl::StatusOr<std::shared_ptr<void>> TryLock() = 0;

  // Makes the folders, and sees to it that Install() will not fail for reasons
  // that can be known before: better than to fail with the certificate in hand.
  // Removes what killed runs left. kFailedPrecondition if something that is not
  // ours stands in the way.
  virtual absl::Status Prepare() = 0;

  // Ends a run that was killed near its end: if everything but the link is in
  // place, swaps the link and answers like FindCredential.
  virtual absl::StatusOr<Certificate> Recover(std::string_view node_name,
                                              absl::Time now) = 0;

  // The key that an earlier run made, or a new one of `type`, which is on disk
  // for good before this returns. kFailedPrecondition if the file is there and
  // holds no key: it is never replaced, since its key may be bound to a ticket.
  virtual absl::StatusOr<PrivateKey> LoadOrCreateKey(KeyType type) = 0;

  // Puts `credential` in place; the file is named after `now`. Repeatable. Then
  // the key file is gone, as the kubelet does with its own: the key lives on in
  // the credential, and the next join makes a new one.
  virtual absl::Status Install(const NodeCredential& credential,
                               absl::Time now) = 0;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_NODE_NODE_STORE_H_
