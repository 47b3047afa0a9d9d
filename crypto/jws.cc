#include "crypto/jws.h"

#include <utility>

#include <absl/status/status.h>

#include "core/base64url.h"
#include "core/json.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

absl::Status Malformed() {
  return absl::InvalidArgumentError("not a signed token in compact form");
}

// A string member that need not be there.
absl::Status ReadOptional(const JsonFields& header, std::string_view name,
                          std::optional<std::string>& value) {
  if (FindMember(header, name) == nullptr) return absl::OkStatus();
  const std::string* text = FindString(header, name);
  if (text == nullptr) return Malformed();
  value = *text;
  return absl::OkStatus();
}

absl::Status ReadHeader(std::string_view json, Jws& token) {
  LATCHKEY_ASSIGN_OR_RETURN(const JsonFields header,
                            ParseJsonObject(json, Jws::kMaxBytes));
  if (FindMember(header, "crit") != nullptr) {
    return absl::InvalidArgumentError(
        "the token has extensions that nobody here understands");
  }
  const std::string* algorithm = FindString(header, "alg");
  if (algorithm == nullptr) return Malformed();
  token.algorithm = *algorithm;
  LATCHKEY_RETURN_IF_ERROR(ReadOptional(header, "kid", token.key_id));
  return ReadOptional(header, "typ", token.type);
}

}  // namespace

absl::StatusOr<Jws> Jws::Parse(std::string_view text) {
  if (text.size() > kMaxBytes) {
    return absl::InvalidArgumentError("a token has at most 8 KiB");
  }
  const size_t first = text.find('.');
  const size_t second = text.rfind('.');
  if (first == std::string_view::npos || first == second) return Malformed();
  // A third dot is no base64url.
  const auto header = DecodeBase64Url(text.substr(0, first));
  auto payload = DecodeBase64Url(text.substr(first + 1, second - first - 1));
  auto signature = DecodeBase64Url(text.substr(second + 1));
  if (!header || !payload || !signature) return Malformed();
  Jws token;
  LATCHKEY_RETURN_IF_ERROR(ReadHeader(*header, token));
  token.payload = *std::move(payload);
  token.signing_input = std::string(text.substr(0, second));
  token.signature = *std::move(signature);
  return token;
}

}  // namespace latchkey
