#include "crypto/digest.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include "crypto/der.h"
#include "crypto/openssl_error.h"
#include "crypto/sha256_stream.h"

namespace latchkey {
namespace {

std::string ToString(const Sha256Stream::Digest& digest) {
  return {digest.begin(), digest.end()};
}

}  // namespace

std::string Sha256(std::string_view bytes) {
  Sha256Stream stream;
  stream.Add(bytes);
  return ToString(stream.Finish());
}

std::string Sha256Hex(std::string_view bytes) {
  return HexEncode(Sha256(bytes));
}

std::string HexEncode(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 0xF]);
  }
  return text;
}

std::string HexDecode(std::string_view digits) {
  if (digits.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    return "";
  }
  const auto value = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes.push_back(
        static_cast<char>(value(digits[i]) * 16 + value(digits[i + 1])));
  }
  return bytes;
}

std::string DigestOfParts(std::string_view domain,
                          std::initializer_list<std::string_view> parts) {
  Sha256Stream stream;
  stream.AddFramed(domain);
  for (const std::string_view part : parts) stream.AddFramed(part);
  return HexEncode(ToString(stream.Finish()));
}

std::string HmacSha256(std::string_view key, std::string_view text) {
  Sha256Stream::Digest digest;
  unsigned int size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           DerBytes(text), text.size(), digest.data(), &size) == nullptr) {
    DieOfOpensslError("HMAC-SHA256 failed");
  }
  return ToString(digest);
}

bool ConstantTimeEquals(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace latchkey
