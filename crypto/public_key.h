// What a SubjectPublicKeyInfo (RFC 5280, 4.1) says. For this folder only.

#ifndef LATCHKEY_CRYPTO_PUBLIC_KEY_H_
#define LATCHKEY_CRYPTO_PUBLIC_KEY_H_

#include <string>

#include <absl/status/statusor.h>

#include "crypto/openssl_ptr.h"
#include "crypto/private_key.h"

namespace latchkey {

struct PublicKeyFacts {
  KeyType type = KeyType::kOther;
  int bits = 0;
  std::string digest;
};

// SHA-256 of `key` in DER, 64 lower-case hexadecimal digits.
absl::StatusOr<std::string> DigestOfPublicKey(const X509_PUBKEY* key);

// kInvalidArgument if OpenSSL does not know the kind of key, if an EC key
// spells out its curve instead of naming it or compresses its point, or if it
// is encoded in another unusual way.
absl::StatusOr<PublicKeyFacts> DescribePublicKey(const X509_PUBKEY* key);

}  // namespace latchkey

#endif  // LATCHKEY_CRYPTO_PUBLIC_KEY_H_
