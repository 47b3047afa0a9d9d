// JSON Web Keys (RFC 7517, 7518, 8037): public keys that verify signatures.

#ifndef LATCHKEY_CRYPTO_JWK_H_
#define LATCHKEY_CRYPTO_JWK_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "core/json.h"

struct evp_pkey_st;  // EVP_PKEY: OpenSSL's headers stay inside this folder

namespace latchkey {

// Each key has one of these, by its own type; a token cannot choose another.
enum class JwsAlgorithm { kRs256, kEs256, kEdDsa };

// "RS256", "ES256", "EdDSA" (Ed25519 only).
std::string_view JwsAlgorithmName(JwsAlgorithm algorithm);

// Immutable, cheap to copy (a reference count), safe for concurrent use.
class Jwk {
 public:
  // The public key that `fields` describe: RSA of 2048 to 8192 bits with a
  // public exponent above 65536, EC on P-256, or OKP Ed25519, for signatures
  // ("use", "key_ops") by its own algorithm ("alg"), where they say.
  //
  // kUnimplemented for keys of other kinds, sizes and uses, which a reader of a
  // set skips (RFC 7517, 5); kInvalidArgument for a key that is malformed, or
  // is a private one. The message repeats nothing of it.
  static absl::StatusOr<Jwk> Parse(const JsonFields& fields);

  // "kid", if there is one.
  const std::optional<std::string>& key_id() const { return key_id_; }
  JwsAlgorithm algorithm() const { return algorithm_; }

  // True if `signature` is this key's over `signing_input`, by its algorithm.
  bool Verifies(std::string_view signing_input,
                std::string_view signature) const;

 private:
  Jwk(std::shared_ptr<evp_pkey_st> key, JwsAlgorithm algorithm)
      : key_(std::move(key)), algorithm_(algorithm) {}

  // Shared: a key is immutable, and a copy of it is a reference.
  std::shared_ptr<evp_pkey_st> key_;
  JwsAlgorithm algorithm_;
  std::optional<std::string> key_id_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CRYPTO_JWK_H_
