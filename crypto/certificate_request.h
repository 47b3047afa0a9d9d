// PKCS#10 certificate requests (RFC 2986): building the kubelet's, and reading
// anybody's without trusting it.

#ifndef LATCHKEY_CRYPTO_CERTIFICATE_REQUEST_H_
#define LATCHKEY_CRYPTO_CERTIFICATE_REQUEST_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "crypto/private_key.h"

namespace latchkey {

// What a request says, after its signature proved that the sender has the key.
struct CertificateRequest {
  // Larger requests are refused unread.
  static constexpr size_t kMaxPemBytes = size_t{16} * 1024;

  // The values of CN and O in the subject, in UTF-8 and in order, wherever they
  // stand in it, and whether the subject has an attribute of any other kind.
  std::vector<std::string> common_names;
  std::vector<std::string> organizations;
  bool has_other_subject_attributes = false;
  // Whether a subjectAltName extension is asked for, even an empty one, in any
  // extensionRequest attribute, Microsoft's included.
  bool has_subject_alt_name = false;
  // Whether any extension beside subjectAltName is asked for.
  bool has_other_extensions = false;

  KeyType key_type = KeyType::kOther;
  int key_bits = 0;
  // SHA-256 of the SubjectPublicKeyInfo, 64 lower-case hexadecimal digits.
  std::string key_digest;

  // Reads exactly one PEM block CERTIFICATE REQUEST (or NEW CERTIFICATE
  // REQUEST) with nothing but white space around it, no PEM headers and no
  // bytes after the DER structure. kInvalidArgument, saying which rule failed,
  // otherwise; if the signature does not verify under the request's own key; if
  // that key is of a kind unknown here, spells out its curve or is not encoded
  // in the usual way, so that one key could have two digests; and if a name in
  // the subject is no text or holds a NUL.
  //
  // Not checked: what the names say, and attributes that ask for no extension.
  static absl::StatusOr<CertificateRequest> Parse(std::string_view pem);

  // True if the key is P-256, P-384, Ed25519, or RSA of 2048 to 8192 bits.
  bool HasAcceptableKey() const;
};

// The subject of a request to build; a test may build unsuitable ones.
struct RequestedSubject {
  std::string common_name = {};
  std::vector<std::string> organizations = {};
  // DNS names for a subjectAltName extension; none: no such extension.
  std::vector<std::string> dns_names = {};
};

// A signed request in PEM.
absl::StatusOr<std::string> BuildCertificateRequest(
    const PrivateKey& key, const RequestedSubject& subject);

}  // namespace latchkey

#endif  // LATCHKEY_CRYPTO_CERTIFICATE_REQUEST_H_
