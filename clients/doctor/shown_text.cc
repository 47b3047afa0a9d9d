#include "clients/doctor/shown_text.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <fmt/format.h>

namespace latchkey {
namespace {

constexpr size_t kMaxShown = 512;

bool IsPrintable(char c) { return c >= ' ' && c <= '~'; }

// Means itself to a shell, anywhere in a word.
bool IsPlain(char c) {
  constexpr std::string_view kPlain = "-_.:/@=,+";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || kPlain.find(c) != std::string_view::npos;
}

std::string Escaped(char c) {
  return fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
}

}  // namespace

std::string Shown(std::string_view text) {
  std::string shown;
  for (const char c : text.substr(0, kMaxShown)) {
    if (c == '\\') {
      shown += "\\\\";
    } else if (IsPrintable(c)) {
      shown.push_back(c);
    } else {
      shown += Escaped(c);
    }
  }
  if (text.size() > kMaxShown) shown += "...";
  return shown;
}

std::string ShellWord(std::string_view text) {
  if (!text.empty() && std::all_of(text.begin(), text.end(), IsPlain)) {
    return std::string(text);
  }
  const bool printable = std::all_of(text.begin(), text.end(), IsPrintable);
  std::string word = printable ? "'" : "$'";
  for (const char c : text) {
    if (!printable && (c == '\\' || c == '\'')) {
      word.append({'\\', c});
    } else if (printable && c == '\'') {
      word += R"('\'')";
    } else if (IsPrintable(c)) {
      word.push_back(c);
    } else {
      word += Escaped(c);
    }
  }
  word.push_back('\'');
  return word;
}

}  // namespace latchkey
