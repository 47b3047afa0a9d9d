#include "devcluster/json_text.h"

#include <cstddef>

#include <fmt/format.h>

#include "core/utf8.h"

namespace latchkey {
namespace {

bool IsPlain(char c) { return c >= ' ' && c < 0x7f && c != '"' && c != '\\'; }

// Of the characters of one byte that are not plain.
void AppendEscaped(char c, std::string& json) {
  switch (c) {
    case '"':
    case '\\':
      json.push_back('\\');
      json.push_back(c);
      return;
    case '\n':
      json.append("\\n");
      return;
    case '\r':
      json.append("\\r");
      return;
    case '\t':
      json.append("\\t");
      return;
    default:
      json.append(fmt::format("\\u{:04x}", static_cast<unsigned char>(c)));
  }
}

}  // namespace

void AppendJsonString(std::string_view text, std::string& json) {
  json.push_back('"');
  while (!text.empty()) {
    size_t plain = 0;
    while (plain < text.size() && IsPlain(text[plain])) ++plain;
    json.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    const size_t length = Utf8Length(text);
    if (length == 1) {
      AppendEscaped(text[0], json);
    } else if (length == 0) {
      json.append("\xef\xbf\xbd");
    } else {
      json.append(text.substr(0, length));
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  json.push_back('"');
}

}  // namespace latchkey
