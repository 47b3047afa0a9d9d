// Any bytes as a bearer token, as its header and claims behind base64url, and
// as the key set of its issuer. The first line is the key set, the rest is the
// token, or "HEADER\nCLAIMS" to be encoded.

#include <string>
#include <string_view>

#include <absl/strings/escaping.h>

#include "core/base64url.h"
#include "crypto/jwk_set.h"
#include "crypto/jws.h"
#include "policy/jwt_identity.h"
#include "tests/fuzz/insist.h"

namespace {

using latchkey_testing::Insist;

// What a token says of itself can be written in one way only.
void CheckOneForm(const latchkey::Jws& token, std::string_view text) {
  std::string again = token.signing_input;
  again += '.';
  again += absl::WebSafeBase64Escape(token.signature);
  Insist(again == text);
}

void Judge(std::string_view text, const std::string& keys) {
  const auto token = latchkey::Jws::Parse(text);
  if (!token.ok()) return;
  CheckOneForm(*token, text);
  const auto set = latchkey::JwkSet::Parse(keys);
  const latchkey::Jwk* key = set.ok() ? set->Find(*token) : nullptr;
  if (key != nullptr) {
    Insist(latchkey::JwsAlgorithmName(key->algorithm()) == token->algorithm);
    key->Verifies(token->signing_input, token->signature);
  }
  const auto claims = latchkey::ParseJsonObject(token->payload, 8192);
  if (!claims.ok()) return;
  const latchkey::JwtRules rules = {
      .name = "n",
      .issuer = "i",
      .audience = "a",
      .attributes = {{"x", {"x"}}, {"deep", {"x", "y"}}}};
  const absl::Time now = absl::FromUnixSeconds(1000);
  const auto found = latchkey::IdentityFromJwt(rules, *token, *claims, now);
  if (!found.ok()) return;
  Insist(found->expires > now);
  Insist(found->identity.name.starts_with("jwt:n:"));
  for (const auto& [name, values] : found->identity.attributes) {
    Insist(!values.empty());
    for (const std::string& value : values) {
      Insist(latchkey::IsAttributeValue(value));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = latchkey_testing::AsText(data, size);
  const size_t first = text.find('\n');
  if (first == std::string_view::npos) return 0;
  const std::string keys(text.substr(0, first));
  const std::string_view rest = text.substr(first + 1);
  Judge(rest, keys);
  const size_t second = rest.find('\n');
  if (second == std::string_view::npos) return 0;
  Judge(absl::WebSafeBase64Escape(std::string(rest.substr(0, second))) + "." +
            absl::WebSafeBase64Escape(std::string(rest.substr(second + 1))) +
            "." + std::string(86, 'A'),
        keys);
  return 0;
}
