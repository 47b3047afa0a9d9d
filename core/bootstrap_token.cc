#include "core/bootstrap_token.h"

#include <utility>

#include <absl/status/status.h>

#include "core/base36.h"
#include "core/status_macros.h"

namespace latchkey {

absl::StatusOr<TokenId> TokenId::Parse(std::string_view text) {
  if (text.size() != kLength || !IsBase36(text)) {
    return absl::InvalidArgumentError(
        "a token id is six characters of [a-z0-9]");
  }
  return TokenId(text);
}

absl::StatusOr<TokenId> TokenIdOfUsername(std::string_view username) {
  constexpr std::string_view kPrefix = "system:bootstrap:";
  if (username.substr(0, kPrefix.size()) == kPrefix) {
    auto id = TokenId::Parse(username.substr(kPrefix.size()));
    if (id.ok()) return id;
  }
  return absl::NotFoundError("not the user of a bootstrap token");
}

BootstrapToken::BootstrapToken(TokenId id, SecretString secret)
    : id_(std::move(id)), secret_(std::move(secret)) {}

absl::StatusOr<BootstrapToken> BootstrapToken::Parse(std::string_view text) {
  constexpr size_t kDot = TokenId::kLength;
  if (text.size() != kDot + 1 + kSecretLength || text[kDot] != '.') {
    return absl::InvalidArgumentError(
        "a bootstrap token is six characters of [a-z0-9], a dot and sixteen "
        "more");
  }
  LATCHKEY_ASSIGN_OR_RETURN(TokenId id, TokenId::Parse(text.substr(0, kDot)));
  return FromParts(std::move(id), SecretString(text.substr(kDot + 1)));
}

absl::StatusOr<BootstrapToken> BootstrapToken::FromParts(TokenId id,
                                                         SecretString secret) {
  if (secret.size() != kSecretLength || !IsBase36(secret.Reveal())) {
    return absl::InvalidArgumentError(
        "the secret half of a bootstrap token is sixteen characters of "
        "[a-z0-9]");
  }
  return BootstrapToken(std::move(id), std::move(secret));
}

SecretString BootstrapToken::Joined() const {
  std::string joined;
  joined.reserve(TokenId::kLength + 1 + kSecretLength);
  joined.append(id_.text()).append(".").append(secret_.Reveal());
  SecretString result{joined};
  Wipe(joined);
  return result;
}

}  // namespace latchkey
