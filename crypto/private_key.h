// An asymmetric private key of a kind that kubelets use.

#ifndef LATCHKEY_CRYPTO_PRIVATE_KEY_H_
#define LATCHKEY_CRYPTO_PRIVATE_KEY_H_

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "core/secret_string.h"
#include "crypto/openssl_ptr.h"

namespace latchkey {

enum class KeyType { kP256, kP384, kEd25519, kRsa2048, kRsa4096, kOther };

// Immutable, cheap to copy (a reference count), safe for concurrent use.
class PrivateKey {
 public:
  // kInternal if OpenSSL fails; kInvalidArgument for KeyType::kOther.
  static absl::StatusOr<PrivateKey> Generate(KeyType type);

  // One PEM private key (PKCS#8, SEC 1 or PKCS#1), not encrypted, at most
  // 16 KiB. Text around the block is refused. kInvalidArgument otherwise; the
  // message never repeats the input.
  static absl::StatusOr<PrivateKey> FromPem(std::string_view pem);

  // EC PRIVATE KEY (SEC 1), RSA PRIVATE KEY (PKCS#1) or, for Ed25519, PRIVATE
  // KEY (PKCS#8): what the kubelet itself would write.
  SecretString ToPem() const;

  // SHA-256 of the public key's SubjectPublicKeyInfo (RFC 5280, 4.1) in DER, as
  // 64 lower-case hexadecimal digits.
  const std::string& public_key_digest() const { return digest_; }

  KeyType type() const { return type_; }

  // For this folder.
  EVP_PKEY* native() const { return key_.get(); }

 private:
  PrivateKey(SharedEvpPkey key, KeyType type, std::string digest);
  SharedEvpPkey key_;
  KeyType type_;
  std::string digest_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CRYPTO_PRIVATE_KEY_H_
