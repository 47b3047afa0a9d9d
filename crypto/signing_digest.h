// Which digest a key signs with. For this folder only.

#ifndef LATCHKEY_CRYPTO_SIGNING_DIGEST_H_
#define LATCHKEY_CRYPTO_SIGNING_DIGEST_H_

#include "crypto/openssl_ptr.h"
#include "crypto/private_key.h"

namespace latchkey {

// As strong as the key; null for Ed25519, which has its own inside.
inline const EVP_MD* SigningDigest(KeyType type) {
  if (type == KeyType::kEd25519) return nullptr;
  return type == KeyType::kP384 ? EVP_sha384() : EVP_sha256();
}

}  // namespace latchkey

#endif  // LATCHKEY_CRYPTO_SIGNING_DIGEST_H_
