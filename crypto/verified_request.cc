#include "crypto/verified_request.h"

#include <utility>

#include <absl/status/status.h>

#include "core/status_macros.h"
#include "crypto/certificate_request.h"
#include "crypto/der.h"
#include "crypto/openssl_error.h"
#include "crypto/pem.h"

namespace latchkey {

absl::StatusOr<VerifiedRequest> VerifiedRequest::Parse(std::string_view pem) {
  if (pem.size() > CertificateRequest::kMaxPemBytes) {
    return absl::InvalidArgumentError(
        "a certificate request has at most 16 KiB");
  }
  LATCHKEY_ASSIGN_OR_RETURN(
      const PemBlock block,
      DecodeOnlyPemBlock(pem,
                         {"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"}));
  VerifiedRequest request;
  request.native = FromDer<X509ReqPtr>(d2i_X509_REQ, block.der);
  if (request.native == nullptr) {
    return TakeOpensslError(absl::StatusCode::kInvalidArgument,
                            "the PEM block holds no certificate request");
  }
  if (X509_REQ_get_version(request.native.get()) != X509_REQ_VERSION_1) {
    return absl::InvalidArgumentError(
        "the certificate request is not of version 1");
  }
  // The key before the signature: nothing is computed with a key whose form we
  // would not accept.
  X509_PUBKEY* key = X509_REQ_get_X509_PUBKEY(request.native.get());
  LATCHKEY_ASSIGN_OR_RETURN(request.key, DescribePublicKey(key));
  if (X509_REQ_verify(request.native.get(), X509_PUBKEY_get0(key)) != 1) {
    return TakeOpensslError(
        absl::StatusCode::kInvalidArgument,
        "the certificate request is not signed by its own key");
  }
  return request;
}

}  // namespace latchkey
