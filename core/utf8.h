// Where characters end, in text that may be anything.

#ifndef LATCHKEY_CORE_UTF8_H_
#define LATCHKEY_CORE_UTF8_H_

#include <cstddef>
#include <string_view>

namespace latchkey {

// The length of the UTF-8 sequence (RFC 3629) that `text`, which is not empty,
// begins with; 0 if it begins with none: a lone or missing byte, an overlong
// form, a surrogate, or what is beyond Unicode.
size_t Utf8Length(std::string_view text);

// True if the whole of `text` is UTF-8.
bool IsUtf8(std::string_view text);

}  // namespace latchkey

#endif  // LATCHKEY_CORE_UTF8_H_
