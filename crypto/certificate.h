// X.509 certificates (RFC 5280): reading what others issued.

#ifndef LATCHKEY_CRYPTO_CERTIFICATE_H_
#define LATCHKEY_CRYPTO_CERTIFICATE_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

namespace latchkey {

// What a certificate says. Nothing here is verified against an issuer.
struct Certificate {
  // Larger bundles are refused unread.
  static constexpr size_t kMaxPemBytes = size_t{1} << 20;

  std::vector<std::string> common_names;
  std::vector<std::string> organizations;
  std::vector<std::string> dns_names;
  std::vector<std::string> uris;
  // Lower-case hexadecimal digits, without leading zeros beyond the first pair;
  // behind a '-' if it is negative, which it should not be (RFC 5280, 4.1.2.2).
  std::string serial;
  // SHA-256 of the DER, 64 lower-case hexadecimal digits.
  std::string fingerprint;
  // SHA-256 of the SubjectPublicKeyInfo, 64 lower-case hexadecimal digits.
  std::string key_digest;
  absl::Time not_before = absl::InfiniteFuture();
  absl::Time not_after = absl::InfinitePast();
  // Extended key usage (4.2.1.12) allows TLS client authentication: it names
  // that, or any usage, or is absent.
  bool allows_client_auth = false;

  // The CERTIFICATE blocks of `pem`, in order; other text is skipped, as TLS
  // libraries do, and a private key beside them is not even decoded.
  // kInvalidArgument if there is none or one does not parse.
  static absl::StatusOr<std::vector<Certificate>> ParseAll(
      std::string_view pem);
};

}  // namespace latchkey

#endif  // LATCHKEY_CRYPTO_CERTIFICATE_H_
