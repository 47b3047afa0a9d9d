#include "devcluster/bootstrap_authenticator.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>

#include "core/bootstrap_token.h"
#include "core/text_time.h"
#include "crypto/digest.h"
#include "devcluster/api_error.h"

namespace latchkey {
namespace {

using kubernetes::Secret;

constexpr char kNamespace[] = "kube-system";
constexpr char kType[] = "bootstrap.kubernetes.io/token";
constexpr char kDefaultGroup[] = "system:bootstrappers";
constexpr std::string_view kGroupPrefix = "system:bootstrappers:";

// Empty if there is none.
std::string_view Value(const Secret& secret, const char* key) {
  const auto found = secret.data().find(key);
  return found == secret.data().end() ? std::string_view() : found->second;
}

bool HasExpired(const Secret& secret, absl::Time now) {
  const std::string_view text = Value(secret, "expiration");
  if (text.empty()) return false;
  const auto expiration = ParseRfc3339(text);
  return !expiration.ok() || *expiration <= now;
}

// system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]
bool IsExtraGroup(std::string_view group) {
  if (!group.starts_with(kGroupPrefix)) return false;
  const std::string_view name = group.substr(kGroupPrefix.size());
  const auto is_alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && name.size() <= 256 && is_alphanumeric(name.back()) &&
         std::all_of(name.begin(), name.end(), [&](char c) {
           return is_alphanumeric(c) || c == ':' || c == '-';
         });
}

// Sorted, each once; nullopt if one of them is none: that fails the whole
// token, not the group.
std::optional<std::set<std::string>> GroupsOf(const Secret& secret) {
  std::set<std::string> groups = {kDefaultGroup};
  std::string_view rest = Value(secret, "auth-extra-groups");
  if (rest.empty()) return groups;
  while (true) {
    const size_t comma = rest.find(',');
    const std::string_view group = rest.substr(0, comma);
    if (!IsExtraGroup(group)) return std::nullopt;
    groups.emplace(group);
    if (comma == std::string_view::npos) return groups;
    rest.remove_prefix(comma + 1);
  }
}

bool IsLive(const Secret& secret, const BootstrapToken& token, absl::Time now) {
  return !secret.metadata().has_deletion_timestamp() &&
         secret.type() == kType &&
         ConstantTimeEquals(Value(secret, "token-secret"),
                            token.secret().Reveal()) &&
         Value(secret, "token-id") == token.id().text() &&
         !HasExpired(secret, now) &&
         Value(secret, "usage-bootstrap-authentication") == "true";
}

}  // namespace

absl::StatusOr<User> AuthenticateBootstrapToken(const ObjectStore& store,
                                                const Clock& clock,
                                                std::string_view token) {
  const auto parsed = BootstrapToken::Parse(token);
  if (!parsed.ok()) return UnauthorizedError();
  const StoredObject stored =
      store.Find(kSecrets, {kNamespace, parsed->id().SecretName()});
  if (stored == nullptr) return UnauthorizedError();
  const auto& secret = static_cast<const Secret&>(stored->message());
  if (!IsLive(secret, *parsed, clock.Now())) return UnauthorizedError();
  const auto groups = GroupsOf(secret);
  if (!groups) return UnauthorizedError();
  User user{.name = parsed->id().Username(),
            .groups = {groups->begin(), groups->end()}};
  user.groups.emplace_back("system:authenticated");
  return user;
}

}  // namespace latchkey
