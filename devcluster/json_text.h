// JSON strings (RFC 8259, 7).

#ifndef LATCHKEY_DEVCLUSTER_JSON_TEXT_H_
#define LATCHKEY_DEVCLUSTER_JSON_TEXT_H_

#include <string>
#include <string_view>

namespace latchkey {

// Appends `text` as a JSON string, quotes included. Each byte that is not part
// of UTF-8 becomes U+FFFD.
void AppendJsonString(std::string_view text, std::string& json);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_JSON_TEXT_H_
