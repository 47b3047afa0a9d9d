#include "core/json_string.h"

#include <cstddef>
#include <cstdint>

#include <fmt/format.h>

#include "core/utf8.h"

namespace latchkey {

std::string JsonString(std::string_view text) {
  std::string quoted = "\"";
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    const char c = text.front();
    if (length == 0) {
      quoted.append("\\ufffd");
    } else if (c == '"' || c == '\\') {
      quoted.append({'\\', c});
    } else if (length == 1 && (static_cast<uint8_t>(c) < 0x20 || c == 0x7F)) {
      quoted.append(fmt::format("\\u{:04x}", static_cast<uint8_t>(c)));
    } else {
      quoted.append(text.substr(0, length));
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  quoted.push_back('"');
  return quoted;
}

}  // namespace latchkey
