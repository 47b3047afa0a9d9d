// A Ticket travels to the machine in place of the token:
//
//   lk1_<token id>_<secret>_<checksum>
//
// with 6, 32 and 7 characters of [a-z0-9]. 32 characters carry 165 bits, so
// that a plain SHA-256 of the ticket is safe to store. The prefix and the
// checksum (CRC-32 of all before it) let secret scanners find tickets and tell
// a mistyped one from a wrong one without asking anybody.

#ifndef LATCHKEY_CORE_TICKET_H_
#define LATCHKEY_CORE_TICKET_H_

#include <cstddef>
#include <string_view>

#include <absl/status/statusor.h>

#include "core/bootstrap_token.h"
#include "core/secret_string.h"

namespace latchkey {

class Ticket {
 public:
  static constexpr std::string_view kPrefix = "lk1_";
  static constexpr size_t kSecretLength = 32;
  static constexpr size_t kChecksumLength = 7;
  static constexpr size_t kLength = kPrefix.size() + TokenId::kLength + 1 +
                                    kSecretLength + 1 + kChecksumLength;

  // kInvalidArgument unless `text` is a ticket to the letter. The message says
  // what is wrong with its form (length, prefix, alphabet, checksum) and does
  // not repeat it.
  static absl::StatusOr<Ticket> Parse(std::string_view text);

  // A ticket for `id`; `secret` must be 32 characters of [a-z0-9], else
  // kInvalidArgument.
  static absl::StatusOr<Ticket> FromSecret(const TokenId& id,
                                           const SecretString& secret);

  const TokenId& id() const { return id_; }

  // The whole ticket, checksum included: the credential.
  const SecretString& text() const { return text_; }

 private:
  Ticket(TokenId id, SecretString text);
  TokenId id_;
  SecretString text_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CORE_TICKET_H_
