#include "crypto/pem.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include <absl/status/status.h>
#include <fmt/format.h>
#include <openssl/evp.h>

#include "core/secret_string.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

bool IsLineBreak(char c) { return c == '\r' || c == '\n'; }
bool IsWhiteSpace(char c) { return c == ' ' || c == '\t' || IsLineBreak(c); }

std::string BeginLine(std::string_view label) {
  return fmt::format("-----BEGIN {}-----", label);
}
std::string EndLine(std::string_view label) {
  return fmt::format("-----END {}-----", label);
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsWhiteSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsWhiteSpace(text.back())) text.remove_suffix(1);
  return text;
}

bool IsBase64(std::string_view text) {
  const size_t pad_at = std::min(text.find('='), text.size());
  return text.size() % 4 == 0 && text.size() - pad_at <= 2 &&
         std::all_of(text.begin() + static_cast<std::ptrdiff_t>(pad_at),
                     text.end(), [](char c) { return c == '='; }) &&
         std::all_of(
             text.begin(), text.begin() + static_cast<std::ptrdiff_t>(pad_at),
             [](char c) {
               return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                      (c >= '0' && c <= '9') || c == '+' || c == '/';
             });
}

// `base64` has passed IsBase64() and is not empty.
std::string DecodeBase64(std::string_view base64) {
  std::string bytes(base64.size() / 4 * 3, '\0');
  EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                  reinterpret_cast<const unsigned char*>(base64.data()),
                  static_cast<int>(base64.size()));
  // EVP_DecodeBlock counts the padding as bytes.
  bytes.resize(bytes.size() - static_cast<size_t>(std::count(
                                  base64.end() - 2, base64.end(), '=')));
  return bytes;
}

// `body` is what stands between the BEGIN and the END line.
absl::StatusOr<std::string> DecodeBody(std::string_view body) {
  if (body.empty() || !IsLineBreak(body.front()) || !IsLineBreak(body.back())) {
    return absl::InvalidArgumentError(
        "the BEGIN and END of a PEM block stand on lines of their own");
  }
  std::string base64;
  base64.reserve(body.size());
  std::copy_if(body.begin(), body.end(), std::back_inserter(base64),
               [](char c) { return !IsWhiteSpace(c); });
  // Headers have a colon, and a second block has dashes: neither is base64.
  const bool well_formed = !base64.empty() && IsBase64(base64);
  std::string bytes = well_formed ? DecodeBase64(base64) : std::string();
  Wipe(base64);
  if (!well_formed) {
    return absl::InvalidArgumentError(
        "a PEM block holds base64 and nothing else");
  }
  return bytes;
}

}  // namespace

absl::StatusOr<PemBlock> DecodeOnlyPemBlock(
    std::string_view pem, std::initializer_list<std::string_view> labels) {
  pem = Trim(pem);
  for (const std::string_view label : labels) {
    const std::string begin = BeginLine(label);
    const std::string end = EndLine(label);
    if (!pem.starts_with(begin)) continue;
    if (pem.size() < begin.size() + end.size() || !pem.ends_with(end)) {
      return absl::InvalidArgumentError(
          "the PEM block has no end, or text after it");
    }
    LATCHKEY_ASSIGN_OR_RETURN(
        std::string der,
        DecodeBody(
            pem.substr(begin.size(), pem.size() - begin.size() - end.size())));
    return PemBlock{.label = label, .der = std::move(der)};
  }
  return absl::InvalidArgumentError(fmt::format(
      "the text does not begin with a PEM block {}", fmt::join(labels, ", ")));
}

absl::StatusOr<std::vector<std::string>> DecodePemBlocks(
    std::string_view text, std::string_view label) {
  const std::string begin = BeginLine(label);
  const std::string end = EndLine(label);
  std::vector<std::string> blocks;
  size_t at = 0;
  while ((at = text.find(begin, at)) != std::string_view::npos) {
    const bool starts_line = at == 0 || IsLineBreak(text[at - 1]);
    at += begin.size();
    if (!starts_line) continue;
    const size_t end_at = text.find(end, at);
    if (end_at == std::string_view::npos) {
      return absl::InvalidArgumentError("a PEM block has no end");
    }
    LATCHKEY_ASSIGN_OR_RETURN(std::string der,
                              DecodeBody(text.substr(at, end_at - at)));
    blocks.push_back(std::move(der));
    at = end_at + end.size();
  }
  return blocks;
}

std::string EncodePem(std::string_view label, std::string_view der) {
  constexpr size_t kLineBytes = 48;  // 64 characters of base64 (RFC 7468, 2)
  std::string pem = BeginLine(label) + "\n";
  for (size_t at = 0; at < der.size(); at += kLineBytes) {
    const std::string_view part = der.substr(at, kLineBytes);
    std::string line((part.size() + 2) / 3 * 4 + 1, '\n');
    // EVP_EncodeBlock ends its text with a NUL, in the place of our '\n'.
    EVP_EncodeBlock(reinterpret_cast<unsigned char*>(line.data()),
                    reinterpret_cast<const unsigned char*>(part.data()),
                    static_cast<int>(part.size()));
    line.back() = '\n';
    pem += line;
  }
  return pem + EndLine(label) + "\n";
}

}  // namespace latchkey
