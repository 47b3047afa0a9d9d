// The alphabet of bootstrap tokens and tickets: [0-9a-z].

#ifndef LATCHKEY_CORE_BASE36_H_
#define LATCHKEY_CORE_BASE36_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace latchkey {

inline constexpr std::string_view kBase36Alphabet =
    "0123456789abcdefghijklmnopqrstuvwxyz";

// True if `text` has only characters of the alphabet (and if it is empty).
bool IsBase36(std::string_view text);

// `length` unbiased characters from `next_byte`, which must yield independent
// uniform bytes: bytes of 252 and above are thrown away, since 256 is no
// multiple of 36 and a plain remainder would favour four characters.
std::string SampleBase36(size_t length,
                         const std::function<uint8_t()>& next_byte);

// `value` in base 36, most significant digit first, padded with '0' to `width`.
std::string EncodeBase36(uint64_t value, size_t width);

}  // namespace latchkey

#endif  // LATCHKEY_CORE_BASE36_H_
