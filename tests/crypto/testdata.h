// The files of tests/testdata; its README.md says what each is for.

#ifndef LATCHKEY_TESTS_CRYPTO_TESTDATA_H_
#define LATCHKEY_TESTS_CRYPTO_TESTDATA_H_

#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "tests/testing/temp_dir.h"

namespace latchkey_testing {

inline std::string TestData(std::string_view name) {
  std::string content =
      ReadFile(std::filesystem::path(LATCHKEY_TESTDATA) / name);
  if (content.empty()) {
    throw std::runtime_error("no test data: " + std::string(name));
  }
  return content;
}

// The digest of a key by the openssl command.
inline std::string KeyDigestOf(const std::string& key) {
  std::istringstream lines(TestData("digests.txt"));
  std::string name;
  std::string digest;
  while (lines >> name >> digest) {
    if (name == key) return digest;
  }
  throw std::runtime_error("no digest of " + key);
}

// `text` with `to` for every `from`.
inline std::string Replaced(std::string text, std::string_view from,
                            std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos;
       at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_CRYPTO_TESTDATA_H_
