// The approver that kubeadm clusters come with: it approves whatever request
// for a kubelet's certificate its requester may have approved, by a
// SubjectAccessReview that names no node.

#ifndef LATCHKEY_DEVCLUSTER_STOCK_APPROVER_H_
#define LATCHKEY_DEVCLUSTER_STOCK_APPROVER_H_

#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "clients/kubernetes/kubernetes_client.h"

namespace latchkey {

// Not safe for concurrent use.
class StockApprover {
 public:
  // `client` must outlive this.
  explicit StockApprover(KubernetesClient& client) : client_(client) {}

  // Approves `csr`, in its latest state, if that is to be done. Denies nothing.
  // Errors are the API server's.
  absl::Status Handle(const kubernetes::CertificateSigningRequest& csr);

 private:
  // Whether the requester may have it approved as `subresource`: selfnodeclient
  // or nodeclient.
  absl::StatusOr<bool> MayHave(
      const kubernetes::CertificateSigningRequestSpec& spec,
      std::string_view subresource);

  KubernetesClient& client_;
};

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_STOCK_APPROVER_H_
