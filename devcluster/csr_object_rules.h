// The rules of object_rules.h for CertificateSigningRequests. A requester
// writes the request once; /approval writes the verdict and other conditions;
// /status writes the certificate and conditions other than the verdict. All may
// change labels and annotations.

#ifndef LATCHKEY_DEVCLUSTER_CSR_OBJECT_RULES_H_
#define LATCHKEY_DEVCLUSTER_CSR_OBJECT_RULES_H_

#include <string>
#include <string_view>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "crypto/certificate_request.h"
#include "devcluster/api_error.h"
#include "devcluster/user.h"
#include "kubernetes/certificates.pb.h"

namespace latchkey {

// Stamps the creator in, and takes out whatever outcome it brought.
void PrepareNewCsr(const User& user,
                   kubernetes::CertificateSigningRequest& csr);
FieldErrors CheckNewCsr(const kubernetes::CertificateSigningRequest& csr);

// `updated` comes in as what was sent, with its metadata done.
void UpdateCsr(const kubernetes::CertificateSigningRequest& before,
               std::string_view subresource, absl::Time now,
               kubernetes::CertificateSigningRequest& updated);
FieldErrors CheckCsrUpdate(const kubernetes::CertificateSigningRequest& before,
                           const kubernetes::CertificateSigningRequest& after,
                           std::string_view subresource);

// The request in `pem`: its first PEM block, whatever stands around that. Of
// requests that kube-apiserver takes, refuses those that
// CertificateRequest::Parse() does: blocks with PEM headers, above 16 KiB, or
// with a key that it does not know.
absl::StatusOr<CertificateRequest> ParseFirstRequest(std::string_view pem);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_CSR_OBJECT_RULES_H_
