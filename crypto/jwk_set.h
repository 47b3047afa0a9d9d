// JSON Web Key Sets (RFC 7517, 5): the keys of an issuer of tokens.

#ifndef LATCHKEY_CRYPTO_JWK_SET_H_
#define LATCHKEY_CRYPTO_JWK_SET_H_

#include <cstddef>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "crypto/jwk.h"
#include "crypto/jws.h"

namespace latchkey {

// Immutable, safe for concurrent use.
class JwkSet {
 public:
  static constexpr size_t kMaxBytes = size_t{256} << 10;
  static constexpr size_t kMaxKeys = 64;

  // The keys of a set that Jwk knows; others are skipped. kInvalidArgument if
  // it is no set, if a key in it is malformed or private, if two have one name,
  // or if none is left: half a set would refuse good tokens without a word.
  static absl::StatusOr<JwkSet> Parse(std::string_view json);

  // The key that the token names. One that names none means the only key of its
  // algorithm. Null if there is no such key, or it is of another algorithm than
  // the token says.
  const Jwk* Find(const Jws& token) const;

 private:
  std::vector<Jwk> keys_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CRYPTO_JWK_SET_H_
