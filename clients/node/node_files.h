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

#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/node/node_store.h"
#include "crypto/certificate.h"
#include "crypto/private_key.h"

namespace latchkey {

// Absolute paths.
struct NodeFilePaths {
  std::string cert_dir = "/var/lib/kubelet/pki";
  std::string kubeconfig = "/etc/kubernetes/kubelet.conf";
  std::string ca_file = "/etc/kubernetes/pki/ca.crt";
};

class NodeFiles final : public NodeStore {
 public:
  explicit NodeFiles(NodeFilePaths paths);

  absl::StatusOr<Certificate> FindCredential(std::string_view node_name,
                                             absl::Time now) const override;
  // Makes CERT_DIR.
  absl::StatusOr<std::shared_ptr<void>> TryLock() override;
  absl::Status Prepare() override;
  absl::StatusOr<Certificate> Recover(std::string_view node_name,
                                      absl::Time now) override;
  absl::StatusOr<PrivateKey> LoadOrCreateKey(KeyType type) override;
  // The file is named after `now`. Repeatable.
  absl::Status Install(const NodeCredential& credential,
                       absl::Time now) override;

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
