// JSON Web Signatures in compact form (RFC 7515), read without trusting them.

#ifndef LATCHKEY_CRYPTO_JWS_H_
#define LATCHKEY_CRYPTO_JWS_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

namespace latchkey {

// What a token says of itself. Nothing is verified: JwkSet::Find and
// Jwk::Verifies do that, and until then everything here is the sender's word.
struct Jws {
  static constexpr size_t kMaxBytes = size_t{8} << 10;

  // kInvalidArgument, without repeating it, if `text` is longer, is not three
  // parts of strict base64url, if the first is not a JSON object with a string
  // "alg" (and "kid" and "typ", where they are there), or lists what a reader
  // must understand ("crit"; we understand no extension).
  //
  // Where a header says where to find a key (jku, jwk, x5u, x5c), it is not
  // listened to: the issuer's configuration says it.
  static absl::StatusOr<Jws> Parse(std::string_view text);

  std::string algorithm;
  std::optional<std::string> key_id;
  std::optional<std::string> type;
  std::string payload;
  // The first two parts as they came, which is what is signed.
  std::string signing_input;
  std::string signature;
};

}  // namespace latchkey

#endif  // LATCHKEY_CRYPTO_JWS_H_
