// The controllers of the embedded control plane, as far as joining needs those
// of kube-controller-manager: the signer of kubelet client certificates, the
// approver that kubeadm clusters come with, token-cleaner, CSR cleaner and
// bootstrap-signer.

#ifndef LATCHKEY_DEVCLUSTER_CONTROLLERS_H_
#define LATCHKEY_DEVCLUSTER_CONTROLLERS_H_

#include <memory>

#include <absl/time/time.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "core/clock.h"
#include "crypto/certificate_authority.h"

namespace latchkey {

struct ControllerOptions {
  // The stock csrapproving controller: approves what its SubjectAccessReview
  // allows, any node name included. Off: Latchkey is the only approver.
  bool stock_approver = false;
  // The longest certificate (--cluster-signing-duration).
  absl::Duration signing_duration = absl::Hours(365 * 24);
};

// All of them. They have no threads: whoever owns them calls Step() whenever
// something changed, and not later than it asks to be called. Not safe for
// concurrent use.
class Controllers {
 public:
  // `client` acts for kube-controller-manager; all must outlive this.
  Controllers(KubernetesClient& client, const CertificateAuthority& ca,
              const Clock& clock, const ControllerOptions& options);
  ~Controllers();

  // Does what there is to do; the answer is when to come again, though nothing
  // changes. An error of the API server is tried again then.
  absl::Time Step();

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_CONTROLLERS_H_
