// base64url without padding (RFC 7515, 2): the text form of JWS and JWK.

#ifndef LATCHKEY_CORE_BASE64URL_H_
#define LATCHKEY_CORE_BASE64URL_H_

#include <optional>
#include <string>
#include <string_view>

namespace latchkey {

// The bytes that `text` stands for; none if it has any other character than
// [A-Za-z0-9_-], padding and white space included, a length that no bytes have,
// or bits at its end that belong to no byte: every byte string has one text.
std::optional<std::string> DecodeBase64Url(std::string_view text);

}  // namespace latchkey

#endif  // LATCHKEY_CORE_BASE64URL_H_
