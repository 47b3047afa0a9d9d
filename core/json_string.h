// Text as a JSON string.

#ifndef LATCHKEY_CORE_JSON_STRING_H_
#define LATCHKEY_CORE_JSON_STRING_H_

#include <string>
#include <string_view>

namespace latchkey {

// `text` as a JSON string, quotes included. What is no text (control
// characters, bytes that are not UTF-8) is escaped or replaced, so that a
// hostile value can neither leave the string nor break the line. Always the
// same for the same text.
std::string JsonString(std::string_view text);

}  // namespace latchkey

#endif  // LATCHKEY_CORE_JSON_STRING_H_
