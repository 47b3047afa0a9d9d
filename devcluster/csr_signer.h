// The signer kubernetes.io/kube-apiserver-client-kubelet: certifies what was
// approved, and marks as Failed what no kubelet is given.
//
// Unlike upstream's, it takes the key usage from the kind of key, not from the
// request, and of the subject only CN and O. What other signers would do is
// left undone, as in a cluster without them.

#ifndef LATCHKEY_DEVCLUSTER_CSR_SIGNER_H_
#define LATCHKEY_DEVCLUSTER_CSR_SIGNER_H_

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "core/clock.h"
#include "crypto/certificate_authority.h"

namespace latchkey {

// Not safe for concurrent use.
class CsrSigner {
 public:
  // All must outlive this.
  CsrSigner(KubernetesClient& client, const CertificateAuthority& ca,
            const Clock& clock, absl::Duration longest);

  // Does what there is to do about `csr`, in its latest state; nothing if it is
  // another signer's, or does not await signing. Errors are the API server's,
  // or kFailedPrecondition once the authority itself has expired.
  absl::Status Handle(const kubernetes::CertificateSigningRequest& csr);

 private:
  // The certificate. kInvalidArgument: none is given to such a request.
  absl::StatusOr<std::string> Certify(
      const kubernetes::CertificateSigningRequestSpec& spec) const;

  KubernetesClient& client_;
  const CertificateAuthority& ca_;
  const absl::Time ca_end_;
  const Clock& clock_;
  const absl::Duration longest_;
};

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_CSR_SIGNER_H_
