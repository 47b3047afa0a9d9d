// What a fuzz target insists on: if it does not hold, the input is a finding.

#ifndef LATCHKEY_TESTS_FUZZ_INSIST_H_
#define LATCHKEY_TESTS_FUZZ_INSIST_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace latchkey_testing {

inline void Insist(bool holds) {
  if (!holds) std::abort();
}

// The fuzzer's bytes as text.
inline std::string_view AsText(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A number that depends on the input and on nothing else: where a target wants
// to choose (a place to cut, a bit to flip), so that the input can be in the
// form that it is about.
inline size_t ChoiceFrom(std::string_view text, size_t salt = 0) {
  constexpr uint64_t kFnvPrime = 0x100000001b3;
  uint64_t hash = 0xcbf29ce484222325 + salt;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * kFnvPrime;
  }
  return static_cast<size_t>(hash >> 7);
}

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_FUZZ_INSIST_H_
