// An asymmetric private key of a kind that kubelets use.

#ifndef LATCHKEY_CRYPTO_PRIVATE_KEY_H_
#define LATCHKEY_CRYPTO_PRIVATE_KEY_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "core/secret_string.h"

struct evp_pkey_st;  // EVP_PKEY: OpenSSL's headers stay inside this folder

namespace latchkey {

// kRsaOther is RSA of any other size, kOther anything else. Both are only read,
// never generated.
enum class KeyType {
  kP256,
  kP384,
  kEd25519,
  kRsa2048,
  kRsa4096,
  kRsaOther,
  kOther
};

// Immutable, cheap to copy (a reference count), safe for concurrent use.
class PrivateKey {
 public:
  // kInternal if OpenSSL fails; kInvalidArgument for kRsaOther and kOther.
  static absl::StatusOr<PrivateKey> Generate(KeyType type);

  // Larger texts are refused unread.
  static constexpr size_t kMaxPemBytes = size_t{16} * 1024;

  // One PEM private key (PKCS#8, SEC 1 or PKCS#1) of any type but kOther, not
  // encrypted. Text around the block is refused. kInvalidArgument otherwise;
  // the message never repeats the input. Whether the public half belongs to the
  // private one is not checked.
  static absl::StatusOr<PrivateKey> FromPem(std::string_view pem);

  // EC PRIVATE KEY (SEC 1), RSA PRIVATE KEY (PKCS#1) or, for Ed25519, PRIVATE
  // KEY (PKCS#8): what the kubelet itself would write.
  SecretString ToPem() const;

  // SHA-256 of the public key's SubjectPublicKeyInfo (RFC 5280, 4.1) in DER, as
  // 64 lower-case hexadecimal digits.
  const std::string& public_key_digest() const { return digest_; }

  KeyType type() const { return type_; }

  // For this folder.
  evp_pkey_st* native() const { return key_.get(); }

 private:
  PrivateKey(std::shared_ptr<evp_pkey_st> key, KeyType type,
             std::string digest);
  // Of a new OpenSSL key; kInvalidArgument if it is of the type kOther.
  static absl::StatusOr<PrivateKey> Adopt(std::shared_ptr<evp_pkey_st> key);

  // Shared: a key is immutable, and a copy of it is a reference.
  std::shared_ptr<evp_pkey_st> key_;
  KeyType type_;
  std::string digest_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CRYPTO_PRIVATE_KEY_H_
