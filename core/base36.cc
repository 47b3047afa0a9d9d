#include "core/base36.h"

#include <algorithm>

namespace latchkey {

bool IsBase36(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
  });
}

std::string SampleBase36(size_t length,
                         const std::function<uint8_t()>& next_byte) {
  constexpr uint8_t kLimit = 252;  // the largest multiple of 36 in a byte
  std::string text;
  text.reserve(length);
  while (text.size() < length) {
    const uint8_t byte = next_byte();
    if (byte < kLimit) text.push_back(kBase36Alphabet[byte % 36]);
  }
  return text;
}

std::string EncodeBase36(uint64_t value, size_t width) {
  std::string text;
  do {
    text.push_back(kBase36Alphabet[value % 36]);
    value /= 36;
  } while (value != 0);
  while (text.size() < width) text.push_back('0');
  std::reverse(text.begin(), text.end());
  return text;
}

}  // namespace latchkey
