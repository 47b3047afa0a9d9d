#include "storage/token_record.h"

#include <algorithm>
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

constexpr std::array<std::string_view, 8> kSteps = {
    "issued", "claimed", "reserved", "released",
    "spent",  "revoked", "extended", "refused"};

}  // namespace

std::string_view TokenStepName(TokenStep step) {
  return kSteps[static_cast<size_t>(step)];
}

std::optional<TokenStep> TokenStepFromName(std::string_view name) {
  const auto it = std::find(kSteps.begin(), kSteps.end(), name);
  if (it == kSteps.end()) return std::nullopt;
  return static_cast<TokenStep>(it - kSteps.begin());
}

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
