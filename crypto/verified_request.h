// A certificate request in OpenSSL's own form. For this folder only.

#ifndef LATCHKEY_CRYPTO_VERIFIED_REQUEST_H_
#define LATCHKEY_CRYPTO_VERIFIED_REQUEST_H_

#include <string_view>

#include <absl/status/statusor.h>

#include "crypto/openssl_ptr.h"
#include "crypto/public_key.h"

namespace latchkey {

// A request whose form, key and signature hold to the rules of
// CertificateRequest::Parse. Its names and extensions are not looked at.
struct VerifiedRequest {
  X509ReqPtr native;
  PublicKeyFacts key;

  static absl::StatusOr<VerifiedRequest> Parse(std::string_view pem);
};

}  // namespace latchkey

#endif  // LATCHKEY_CRYPTO_VERIFIED_REQUEST_H_
