#include "devcluster/caller.h"

#include <algorithm>
#include <utility>

#include <absl/strings/match.h>
#include <fmt/format.h>

#include "core/status_macros.h"
#include "devcluster/api_error.h"

namespace latchkey {
namespace {

// Not stored: they are only names for what an authorizer is asked.
constexpr Resource kUsers = {"v1", "User", "users", false};
constexpr Resource kGroups = {"v1", "Group", "groups", false};
constexpr std::string_view kAuthenticated = "system:authenticated";

// Empty if `header` has no bearer token.
std::string_view BearerToken(std::string_view header) {
  constexpr std::string_view kScheme = "bearer ";
  if (!absl::StartsWithIgnoreCase({header.data(), header.size()},
                                  {kScheme.data(), kScheme.size()})) {
    return "";
  }
  header.remove_prefix(kScheme.size());
  while (header.starts_with(' ')) header.remove_prefix(1);
  return header;
}

absl::StatusOr<User> Authenticate(const ApiServer& server,
                                  const ClientCertificate& certificate,
                                  std::string_view authorization) {
  const bool expired = server.Now() > certificate.not_after;
  if (certificate.user && !expired) return *certificate.user;
  const std::string_view token = BearerToken(authorization);
  if (!token.empty()) return server.AuthenticateToken(token);
  if (certificate.rejected || expired) return UnauthorizedError();
  return AnonymousUser();
}

absl::Status CheckMayBe(const ApiServer& server, const User& caller,
                        const Resource& resource, std::string_view name) {
  if (server.MayAccess(caller, "impersonate", resource, "",
                       {"", std::string(name)})) {
    return absl::OkStatus();
  }
  return ForbiddenError(
      resource, name,
      fmt::format("User \"{}\" cannot impersonate resource \"{}\" in API group "
                  "\"\" at the cluster scope",
                  caller.name, resource.plural));
}

}  // namespace

absl::StatusOr<User> CallerOf(const ApiServer& server,
                              const ClientCertificate& certificate,
                              std::string_view authorization,
                              const Impersonation& impersonation) {
  LATCHKEY_ASSIGN_OR_RETURN(User caller,
                            Authenticate(server, certificate, authorization));
  const auto& [user, groups, more] = impersonation;
  if (user.empty() && groups.empty() && !more) return caller;
  if (more) {
    return BadRequestError("only users and groups can be impersonated");
  }
  if (user.empty()) {
    return BadRequestError(
        "requested groups to impersonate without a user to impersonate");
  }
  LATCHKEY_RETURN_IF_ERROR(CheckMayBe(server, caller, kUsers, user));
  User assumed{.name = std::string(user)};
  for (const std::string_view group : groups) {
    LATCHKEY_RETURN_IF_ERROR(CheckMayBe(server, caller, kGroups, group));
    assumed.groups.emplace_back(group);
  }
  if (assumed.name == AnonymousUser().name) return AnonymousUser();
  if (std::find(assumed.groups.begin(), assumed.groups.end(), kAuthenticated) ==
      assumed.groups.end()) {
    assumed.groups.emplace_back(kAuthenticated);
  }
  return assumed;
}

}  // namespace latchkey
