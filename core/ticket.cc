#include "core/ticket.h"

#include <zlib.h>

#include <string>
#include <utility>

#include <absl/status/status.h>
#include <fmt/format.h>

#include "core/base36.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

constexpr size_t kIdAt = Ticket::kPrefix.size();
constexpr size_t kSecretAt = kIdAt + TokenId::kLength + 1;
constexpr size_t kChecksumAt = kSecretAt + Ticket::kSecretLength + 1;

std::string Checksum(std::string_view body) {
  const uLong crc =
      crc32_z(0, reinterpret_cast<const Bytef*>(body.data()), body.size());
  return EncodeBase36(crc, Ticket::kChecksumLength);
}

}  // namespace

Ticket::Ticket(TokenId id, SecretString text)
    : id_(std::move(id)), text_(std::move(text)) {}

absl::StatusOr<Ticket> Ticket::Parse(std::string_view text) {
  if (text.substr(0, kPrefix.size()) != kPrefix) {
    return absl::InvalidArgumentError("a ticket begins with lk1_");
  }
  if (text.size() != kLength) {
    return absl::InvalidArgumentError(fmt::format(
        "a ticket has {} characters, this one has {}", kLength, text.size()));
  }
  if (text[kSecretAt - 1] != '_' || text[kChecksumAt - 1] != '_' ||
      !IsBase36(text.substr(kIdAt, TokenId::kLength)) ||
      !IsBase36(text.substr(kSecretAt, kSecretLength)) ||
      !IsBase36(text.substr(kChecksumAt))) {
    return absl::InvalidArgumentError(
        "a ticket is lk1_<id>_<secret>_<checksum> of lower-case letters and "
        "digits");
  }
  if (Checksum(text.substr(0, kChecksumAt)) != text.substr(kChecksumAt)) {
    return absl::InvalidArgumentError(
        "the ticket's checksum does not match: it was mistyped or cut");
  }
  LATCHKEY_ASSIGN_OR_RETURN(
      TokenId id, TokenId::Parse(text.substr(kIdAt, TokenId::kLength)));
  return Ticket(std::move(id), SecretString(text));
}

absl::StatusOr<Ticket> Ticket::FromSecret(const TokenId& id,
                                          const SecretString& secret) {
  std::string text;
  text.reserve(kLength);
  text.append(kPrefix).append(id.text()).append("_");
  text.append(secret.Reveal()).append("_");
  text.append(Checksum(text));
  absl::StatusOr<Ticket> ticket = Parse(text);
  Wipe(text);
  return ticket;
}

}  // namespace latchkey
