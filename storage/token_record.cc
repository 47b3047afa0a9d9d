#include "storage/token_record.h"

#include <array>
#include <utility>

namespace latchkey {
namespace {

constexpr std::array<std::pair<TokenState, std::string_view>, 5> kNames = {{
    {TokenState::kIssued, "issued"},
    {TokenState::kActive, "active"},
    {TokenState::kReserved, "reserved"},
    {TokenState::kSpent, "spent"},
    {TokenState::kRevoked, "revoked"},
}};

}  // namespace

std::string_view TokenStateName(TokenState state) {
  for (const auto& [known, name] : kNames) {
    if (known == state) return name;
  }
  return "unknown";
}

std::optional<TokenState> TokenStateFromName(std::string_view name) {
  for (const auto& [state, known] : kNames) {
    if (known == name) return state;
  }
  return std::nullopt;
}

std::optional<KeyDigest> TokenRecord::BoundKey() const {
  if (scope.key_digest.has_value()) return scope.key_digest;
  if (claim.has_value()) return claim->key_digest;
  if (reservation.has_value()) return reservation->key_digest;
  return std::nullopt;
}

}  // namespace latchkey
