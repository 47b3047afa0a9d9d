#include "devcluster/user.h"

#include <algorithm>

#include <absl/status/status.h>
#include <fmt/format.h>

namespace latchkey {
namespace {

constexpr char kAuthenticated[] = "system:authenticated";

}  // namespace

User AnonymousUser() {
  return {.name = "system:anonymous", .groups = {"system:unauthenticated"}};
}

User AdminUser() {
  return {.name = "kubernetes-admin",
          .groups = {"system:masters", kAuthenticated}};
}

User BrokerUser() {
  return {.name = "system:serviceaccount:kube-system:latchkey",
          .groups = {"system:serviceaccounts",
                     "system:serviceaccounts:kube-system", kAuthenticated}};
}

absl::StatusOr<User> UserOfCertificate(const Certificate& certificate) {
  if (certificate.common_names.empty() ||
      certificate.common_names.back().empty()) {
    return absl::UnauthenticatedError("the certificate names nobody");
  }
  // Of several common names, Go's x509 keeps the last.
  User user{.name = certificate.common_names.back(),
            .groups = certificate.organizations};
  if (std::find(user.groups.begin(), user.groups.end(), kAuthenticated) ==
      user.groups.end()) {
    user.groups.emplace_back(kAuthenticated);
  }
  user.extra["authentication.kubernetes.io/credential-id"] = {
      fmt::format("X509SHA256={}", certificate.fingerprint)};
  return user;
}

}  // namespace latchkey
