// A Kubernetes bootstrap token, `id.secret`: 6 and 16 characters of [a-z0-9]
// (Kubernetes, "Authenticating with Bootstrap Tokens"). The id is public, the
// secret half is the credential.

#ifndef LATCHKEY_CORE_BOOTSTRAP_TOKEN_H_
#define LATCHKEY_CORE_BOOTSTRAP_TOKEN_H_

#include <cstddef>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "core/secret_string.h"

namespace latchkey {

// The public half. Always valid.
class TokenId {
 public:
  static constexpr size_t kLength = 6;

  // kInvalidArgument unless `text` is six characters of [a-z0-9].
  static absl::StatusOr<TokenId> Parse(std::string_view text);

  const std::string& text() const { return text_; }

  // The Secret in kube-system that holds the token.
  std::string SecretName() const { return "bootstrap-token-" + text_; }
  // The user that the API server sees behind a request with the token.
  std::string Username() const { return "system:bootstrap:" + text_; }

  auto operator<=>(const TokenId&) const = default;

 private:
  explicit TokenId(std::string_view text) : text_(text) {}
  std::string text_;
};

// The id in `username` if that is "system:bootstrap:<id>", else kNotFound.
absl::StatusOr<TokenId> TokenIdOfUsername(std::string_view username);

// Both halves. Always valid.
class BootstrapToken {
 public:
  static constexpr size_t kSecretLength = 16;

  // kInvalidArgument unless `text` is `id.secret` to the letter: no white
  // space, no upper case, no trailing newline. The error does not repeat it.
  static absl::StatusOr<BootstrapToken> Parse(std::string_view text);
  static absl::StatusOr<BootstrapToken> FromParts(TokenId id,
                                                  SecretString secret);

  const TokenId& id() const { return id_; }
  const SecretString& secret() const { return secret_; }

  // `id.secret`, the bearer credential.
  SecretString Joined() const;

 private:
  BootstrapToken(TokenId id, SecretString secret);
  TokenId id_;
  SecretString secret_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CORE_BOOTSTRAP_TOKEN_H_
