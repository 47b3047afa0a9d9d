// The embedded control plane as a whole: store, API, controllers and the HTTPS
// face, with a certificate authority of its own. For development, tests and
// demonstrations.

#ifndef LATCHKEY_DEVCLUSTER_DEV_CLUSTER_H_
#define LATCHKEY_DEVCLUSTER_DEV_CLUSTER_H_

#include <cstdint>
#include <memory>
#include <string>

#include <absl/status/statusor.h>

#include "core/clock.h"
#include "crypto/certificate_authority.h"
#include "devcluster/api_server.h"
#include "devcluster/controllers.h"
#include "devcluster/http_face.h"
#include "devcluster/object_store.h"
#include "devcluster/user.h"

namespace latchkey {

struct DevClusterOptions {
  // Where objects and the authority's key are kept, 0700; empty: in memory, and
  // gone with the process.
  std::string data_dir;
  // An IP address, and a port (0: any that is free).
  std::string address = "127.0.0.1";
  uint16_t port = 0;
  ControllerOptions controllers = {};
  // Of tests only.
  decltype(HttpFaceOptions::fault_hook) fault_hook;
};

// Runs from Start() until it is destroyed. Safe for concurrent use.
class DevCluster {
 public:
  // `clock` must outlive this. Errors name the address or the file.
  static absl::StatusOr<std::unique_ptr<DevCluster>> Start(
      const DevClusterOptions& options, const Clock& clock);
  ~DevCluster();

  // "https://127.0.0.1:6443".
  const std::string& url() const;
  const CertificateAuthority& ca() const;
  ApiServer& api();
  ObjectStore& store();

  // A client certificate of a user of the cluster, valid for `lifetime`, and a
  // kubeconfig with it.
  absl::StatusOr<IssuedIdentity> IssueClientCertificate(
      const User& user, absl::Duration lifetime) const;
  absl::StatusOr<SecretString> KubeconfigFor(const User& user,
                                             absl::Duration lifetime) const;

 private:
  class Impl;
  explicit DevCluster(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_DEV_CLUSTER_H_
