#include "devcluster/json_text.h"

#include <cstddef>

#include <fmt/format.h>

namespace latchkey {
namespace {

// What the second byte of a sequence may be, and how long that is, by its first
// (RFC 3629, 4).
struct Lead {
  unsigned char first, last;
  size_t length;
  unsigned char second_first, second_last;
};
constexpr Lead kLeads[] = {
    {0x00, 0x7f, 1, 0x00, 0xff}, {0xc2, 0xdf, 2, 0x80, 0xbf},
    {0xe0, 0xe0, 3, 0xa0, 0xbf}, {0xe1, 0xec, 3, 0x80, 0xbf},
    {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
    {0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf},
    {0xf4, 0xf4, 4, 0x80, 0x8f},
};

unsigned char ByteOf(std::string_view text, size_t i) {
  return static_cast<unsigned char>(text[i]);
}

// The length of the character that `text` begins with; 0: it is no UTF-8.
size_t CharacterLength(std::string_view text) {
  const unsigned char lead = ByteOf(text, 0);
  for (const Lead& known : kLeads) {
    if (lead < known.first || lead > known.last) continue;
    if (known.length == 1) return 1;
    if (text.size() < known.length) return 0;
    const unsigned char second = ByteOf(text, 1);
    if (second < known.second_first || second > known.second_last) return 0;
    for (size_t i = 2; i < known.length; ++i) {
      if ((ByteOf(text, i) & 0xc0U) != 0x80U) return 0;
    }
    return known.length;
  }
  return 0;
}

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
    const size_t length = CharacterLength(text);
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
