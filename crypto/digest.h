// SHA-256, HMAC with it, and comparison in constant time.

#ifndef LATCHKEY_CRYPTO_DIGEST_H_
#define LATCHKEY_CRYPTO_DIGEST_H_

#include <initializer_list>
#include <string>
#include <string_view>

namespace latchkey {

// The 32 bytes of SHA-256 (FIPS 180-4).
std::string Sha256(std::string_view bytes);

// The same as 64 lower-case hexadecimal digits.
std::string Sha256Hex(std::string_view bytes);

// Lower-case hexadecimal digits.
std::string HexEncode(std::string_view bytes);
// The bytes of such digits; empty if that is not what they are.
std::string HexDecode(std::string_view digits);

// SHA-256, in hexadecimal, of parts that are told apart: each is hashed with
// its length in front, so ("ab", "c") and ("a", "bc") differ. `domain` names
// the purpose and keeps digests of different purposes apart.
std::string DigestOfParts(std::string_view domain,
                          std::initializer_list<std::string_view> parts);

// The 32 bytes of HMAC-SHA256 (RFC 2104) of `text`.
std::string HmacSha256(std::string_view key, std::string_view text);

// True if both are equal. Takes the same time wherever they differ; a
// difference in length shows.
bool ConstantTimeEquals(std::string_view a, std::string_view b);

}  // namespace latchkey

#endif  // LATCHKEY_CRYPTO_DIGEST_H_
