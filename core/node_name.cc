#include "core/node_name.h"

#include <algorithm>
#include <cstddef>
#include <string>

namespace latchkey {
namespace {

constexpr size_t kMaxLength = 253;

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool IsLabel(std::string_view label) {
  return !label.empty() && IsAlphanumeric(label.front()) &&
         IsAlphanumeric(label.back()) &&
         std::all_of(label.begin(), label.end(),
                     [](char c) { return IsAlphanumeric(c) || c == '-'; });
}

bool IsSubdomain(std::string_view name) {
  if (name.size() > kMaxLength) return false;
  while (true) {
    const size_t dot = name.find('.');
    if (!IsLabel(name.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

}  // namespace

absl::Status ValidateNodeName(std::string_view name) {
  if (IsSubdomain(name)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "a node name is at most 253 lower-case letters, digits, '-' and '.', and "
      "each part between dots begins and ends with a letter or digit");
}

absl::Status ValidateNodeNamePattern(std::string_view pattern) {
  // A star may match one letter, so a good pattern is a good name with 'x' for
  // each star.
  std::string name(pattern);
  std::replace(name.begin(), name.end(), '*', 'x');
  if (IsSubdomain(name)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "a node name pattern is a node name in which '*' stands for any "
      "characters but a dot, such as worker-* or *.pool.example");
}

bool MatchesNodeNamePattern(std::string_view pattern, std::string_view name) {
  size_t p = 0;
  size_t n = 0;
  size_t star = std::string_view::npos;  // the last '*' seen, to fall back to
  size_t star_end = 0;                   // where its run ends so far
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_end = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos && name[star_end] != '.') {
      p = star + 1;
      n = ++star_end;
    } else {
      return false;
    }
  }
  return std::all_of(pattern.begin() + static_cast<std::ptrdiff_t>(p),
                     pattern.end(), [](char c) { return c == '*'; });
}

}  // namespace latchkey
