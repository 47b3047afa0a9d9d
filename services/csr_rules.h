// Whether a CSR fits what its token may buy: every check, and nothing else.
// Pure functions of what was read; services/csr_approver.h does the reading and
// writing.

#ifndef LATCHKEY_SERVICES_CSR_RULES_H_
#define LATCHKEY_SERVICES_CSR_RULES_H_

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "crypto/certificate_request.h"
#include "kubernetes/certificates.pb.h"
#include "storage/token_record.h"

namespace latchkey {

// The signer of kubelets' client certificates (Kubernetes, "Certificates and
// Certificate Signing Requests", "Kubernetes signers").
inline constexpr std::string_view kKubeletClientSigner =
    "kubernetes.io/kube-apiserver-client-kubelet";

enum class CsrState {
  kPending,   // nobody has decided
  kApproved,  // approved, not yet signed
  kIssued,    // the certificate is there
  kDead,      // Denied or Failed without a certificate: never to be signed
};
CsrState StateOf(const kubernetes::CertificateSigningRequest& csr);

// The request in a CSR, if it has the form that the kubelet-client signer and
// the scope's node name ask for, in this order:
//   CSR_MALFORMED         exactly one PKCS#10 block, proof of possession
//   CSR_KEY_WEAK          P-256, P-384, Ed25519, or RSA of 2048 to 8192 bits
//   CSR_SUBJECT           O is exactly system:nodes; one CN; nothing else
//   CSR_SUBJECT_ALT_NAME  no SAN of any kind
//   CSR_EXTENSIONS        no other extension either
//   SCOPE_NODE_NAME       CN is system:node:<node_name>
// All kPermissionDenied but CSR_MALFORMED, which is kInvalidArgument.
absl::StatusOr<CertificateRequest> CheckRequest(std::string_view pem,
                                                std::string_view node_name);

// OK if `csr` fits `record` in all but what only the record's next state can
// tell (Reserve in storage/token_life.h asserts that one) and a live Node of
// the name. After CheckRequest, in this order:
//   CSR_USAGES   the kubelet-client set: digital signature, client auth, and
//                key encipherment or not; nothing twice
//   SCOPE_GROUPS the requester's groups are those minted
//   CSR_TOO_OLD  the CSR is younger than the record (two seconds of clock skew
//                between API servers aside)
//   SCOPE_CERTIFICATE_LIFETIME  asks for no more than the scope allows
// Answers the digest of the CSR's key.
absl::StatusOr<KeyDigest> CheckCsr(
    const kubernetes::CertificateSigningRequest& csr,
    const TokenRecord& record);

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_CSR_RULES_H_
