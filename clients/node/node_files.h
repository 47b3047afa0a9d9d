// What latchkey-join keeps on the machine, in the places and forms of the
// kubelet's own certificate store:
//
//   CERT_DIR/kubelet-client-<local time>.pem   certificates, then their key
//   CERT_DIR/kubelet-client-current.pem        link to the newest of these
//   KUBECONFIG                                 how the kubelet uses the link
//   CA_FILE                                    the cluster's authorities
//   CERT_DIR/latchkey-join.key                 the key, until it is certified
//   CERT_DIR/latchkey-join.lock                whose turn it is
//
// Whatever is there is whole. The link is swapped last: once it leads to a
// valid credential, everything else is in place.

#ifndef LATCHKEY_CLIENTS_NODE_NODE_FILES_H_
#define LATCHKEY_CLIENTS_NODE_NODE_FILES_H_

#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/files/durable_file.h"
#include "crypto/certificate.h"
#include "crypto/private_key.h"

namespace latchkey {

// Absolute paths.
struct NodeFilePaths {
  std::string cert_dir = "/var/lib/kubelet/pki";
  std::string kubeconfig = "/etc/kubernetes/kubelet.conf";
  std::string ca_file = "/etc/kubernetes/pki/ca.crt";
};

// A credential that the cluster issued, and how to use it.
struct NodeCredential {
  std::string certificates_pem;  // the node's own first
  PrivateKey key;
  std::string api_server;
  std::string ca_pem;
};

// Methods that write want the lock to be held. Not safe for concurrent use.
class NodeFiles {
 public:
  explicit NodeFiles(NodeFilePaths paths);

  // The certificate of the credential that a kubelet would use, if it fits the
  // node, with the reach of CheckNodeCertificate, and the kubeconfig leads to
  // it. kNotFound otherwise, saying what is missing. Writes nothing.
  absl::StatusOr<Certificate> FindCredential(std::string_view node_name,
                                             absl::Time now) const;

  // kUnavailable if another process holds the lock. Makes CERT_DIR.
  absl::StatusOr<FileLock> TryLock();

  // Makes the folders, and sees to it that Install() will not fail for reasons
  // that can be known before: better than to fail with the certificate in hand.
  // Removes what killed runs left. kFailedPrecondition if something that is not
  // ours stands in the way.
  absl::Status Prepare();

  // Ends a run that was killed near its end: if everything but the link is in
  // place, swaps the link and answers like FindCredential.
  absl::StatusOr<Certificate> Recover(std::string_view node_name,
                                      absl::Time now);

  // The key that an earlier run made, or a new one of `type`, which is on disk
  // for good before this returns. kFailedPrecondition if the file is there and
  // holds no key: it is never replaced, since its key may be bound to a ticket.
  absl::StatusOr<PrivateKey> LoadOrCreateKey(KeyType type);

  // Puts `credential` in place; the file is named after `now`. Repeatable. Then
  // the key file is gone, as the kubelet does with its own: the key lives on in
  // the credential, and the next join makes a new one.
  absl::Status Install(const NodeCredential& credential, absl::Time now);

  const NodeFilePaths& paths() const { return paths_; }

 private:
  // The credential in one file of the store.
  absl::StatusOr<Certificate> CheckCredentialFile(const std::string& path,
                                                  std::string_view node_name,
                                                  absl::Time now) const;
  absl::Status CheckKubeconfig() const;
  absl::Status MakeCurrent(const std::string& path);
  std::string InCertDir(std::string_view name) const;

  const NodeFilePaths paths_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_NODE_NODE_FILES_H_
