#include "core/token_scope.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "core/node_name.h"
#include "core/refusal.h"

namespace latchkey {
namespace {

constexpr size_t kMaxGroups = 16;

absl::Status InvalidScopeField(std::string_view field,
                               std::string_view message) {
  return InvalidField(fmt::format("scope.{}", field), message);
}

}  // namespace

std::string_view DeliveryName(Delivery delivery) {
  return delivery == Delivery::kTicket ? "ticket" : "direct";
}

std::optional<Delivery> DeliveryFromName(std::string_view name) {
  if (name == "ticket") return Delivery::kTicket;
  if (name == "direct") return Delivery::kDirect;
  return std::nullopt;
}

bool IsKeyDigest(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

absl::Status ValidateScope(const TokenScope& scope) {
  if (absl::Status status = ValidateNodeName(scope.node_name); !status.ok()) {
    return InvalidScopeField("node_name", std::string(status.message()));
  }
  if (scope.groups.size() > kMaxGroups) {
    return InvalidScopeField("groups",
                             fmt::format("at most {} groups", kMaxGroups));
  }
  for (const std::string& group : scope.groups) {
    if (!IsBootstrapGroup(group)) {
      return InvalidScopeField(
          "groups",
          "each group matches "
          "system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]");
    }
  }
  if (std::set(scope.groups.begin(), scope.groups.end()).size() !=
      scope.groups.size()) {
    return InvalidScopeField("groups", "a group is named twice");
  }
  if (scope.max_certificate_lifetime.has_value()) {
    const absl::Duration lifetime = *scope.max_certificate_lifetime;
    if (lifetime < kMinCertificateLifetime ||
        lifetime > kMaxCertificateLifetime ||
        lifetime != absl::Trunc(lifetime, absl::Seconds(1))) {
      return InvalidScopeField("max_certificate_lifetime",
                               "from 10 minutes to 1 year, in whole seconds");
    }
  }
  if (scope.key_digest.has_value() && !IsKeyDigest(*scope.key_digest)) {
    return InvalidScopeField("public_key_sha256",
                             "a SHA-256 digest of 32 bytes");
  }
  return absl::OkStatus();
}

bool IsBootstrapGroup(std::string_view group) {
  constexpr std::string_view kPrefix = "system:bootstrappers:";
  if (group.substr(0, kPrefix.size()) != kPrefix) return false;
  group.remove_prefix(kPrefix.size());
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  return !group.empty() && group.size() <= 256 && is_plain(group.back()) &&
         std::all_of(group.begin(), group.end(), [&](char c) {
           return is_plain(c) || c == ':' || c == '-';
         });
}

}  // namespace latchkey
