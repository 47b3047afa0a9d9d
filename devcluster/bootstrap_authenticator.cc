#include "devcluster/bootstrap_authenticator.h"

#include <optional>
#include <set>
#include <string>

#include "core/bootstrap_token.h"
#include "core/token_scope.h"
#include "crypto/digest.h"
#include "devcluster/api_error.h"
#include "devcluster/bootstrap_secret.h"

namespace latchkey {
namespace {

using kubernetes::Secret;

constexpr char kNamespace[] = "kube-system";
constexpr char kType[] = "bootstrap.kubernetes.io/token";
constexpr char kDefaultGroup[] = "system:bootstrappers";

// Sorted, each once; nullopt if one of them is none: that fails the whole
// token, not the group.
std::optional<std::set<std::string>> GroupsOf(const Secret& secret) {
  std::set<std::string> groups = {kDefaultGroup};
  std::string_view rest = BootstrapValueOf(secret, "auth-extra-groups");
  if (rest.empty()) return groups;
  while (true) {
    const size_t comma = rest.find(',');
    const std::string_view group = rest.substr(0, comma);
    if (!IsBootstrapGroup(group)) return std::nullopt;
    groups.emplace(group);
    if (comma == std::string_view::npos) return groups;
    rest.remove_prefix(comma + 1);
  }
}

bool IsLive(const Secret& secret, const BootstrapToken& token, absl::Time now) {
  return !secret.metadata().has_deletion_timestamp() &&
         secret.type() == kType &&
         ConstantTimeEquals(BootstrapValueOf(secret, "token-secret"),
                            token.secret().Reveal()) &&
         BootstrapValueOf(secret, "token-id") == token.id().text() &&
         TokenExpirationOf(secret) > now &&
         BootstrapValueOf(secret, "usage-bootstrap-authentication") == "true";
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
