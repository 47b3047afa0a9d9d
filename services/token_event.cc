#include "services/token_event.h"

#include <charconv>

namespace latchkey {
namespace {

TokenRecord WithoutSecrets(const TokenRecord& record) {
  TokenRecord shown = record;
  shown.secret = SecretString();
  shown.ticket_salt = SecretString();
  shown.ticket_digest.clear();
  shown.request_key.clear();
  shown.request_digest.clear();
  return shown;
}

TokenEventType TypeOf(TokenStep step) {
  switch (step) {
    case TokenStep::kIssued:
      return TokenEventType::kIssued;
    case TokenStep::kClaimed:
      return TokenEventType::kClaimed;
    case TokenStep::kReserved:
      return TokenEventType::kReserved;
    case TokenStep::kReleased:
      return TokenEventType::kReleased;
    case TokenStep::kSpent:
      return TokenEventType::kJoined;
    case TokenStep::kRevoked:
      return TokenEventType::kRevoked;
    case TokenStep::kExtended:
      return TokenEventType::kExtended;
    case TokenStep::kRefused:
      return TokenEventType::kRefused;
  }
  return TokenEventType::kIssued;
}

}  // namespace

TokenEvent EventOfWrite(const TokenRecord& record) {
  return {.type = TypeOf(record.last_step), .record = WithoutSecrets(record)};
}

TokenEvent EventOfRemoval(const TokenRecord& record) {
  const bool tombstone = record.state == TokenState::kSpent ||
                         record.state == TokenState::kRevoked;
  return {
      .type = tombstone ? TokenEventType::kRemoved : TokenEventType::kExpired,
      .record = WithoutSecrets(record)};
}

TokenEvent EventOfApproval(const TokenRecord& record) {
  TokenEvent event{.type = TokenEventType::kApproved,
                   .record = WithoutSecrets(record)};
  event.record.state = TokenState::kReserved;
  event.record.last_step = TokenStep::kReserved;
  event.record.certificate.reset();
  event.record.revocation.reset();
  return event;
}

size_t BytesOf(const TokenEvent& event) {
  // Strings of a record that are long enough to be elsewhere, by and large;
  // labels and notes of refused attempts are what a caller can make it more by.
  const TokenRecord& record = event.record;
  size_t bytes = sizeof(TokenEvent) + 512 + record.scope.node_name.size() +
                 record.provisioner.size();
  for (const std::string& group : record.groups) bytes += 2 * group.size();
  for (const auto& [key, value] : record.labels) {
    bytes += 128 + key.size() + value.size();
  }
  for (const RefusedAttempt& attempt : record.refused) {
    bytes += 128 + attempt.by.size();
  }
  return bytes;
}

std::optional<uint64_t> ParseResourceVersion(std::string_view text) {
  uint64_t version = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), version);
  if (error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return version;
}

}  // namespace latchkey
