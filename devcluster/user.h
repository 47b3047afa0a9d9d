// Who a request to the embedded control plane comes from.

#ifndef LATCHKEY_DEVCLUSTER_USER_H_
#define LATCHKEY_DEVCLUSTER_USER_H_

#include <map>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "crypto/certificate.h"

namespace latchkey {

// As an authenticator of Kubernetes found it, "system:authenticated" and
// "system:unauthenticated" included among the groups.
struct User {
  std::string name;
  std::string uid = {};
  std::vector<std::string> groups = {};
  std::map<std::string, std::vector<std::string>> extra = {};
};

// "system:anonymous", whose one group is "system:unauthenticated".
User AnonymousUser();
// A member of "system:masters", which may do everything.
User AdminUser();
// The service account of deploy/kubernetes/rbac.yaml, which may do what the
// broker needs and no more.
User BrokerUser();

// Whom a client certificate stands for: its common name, in the groups of its
// organizations. Whether it is valid, and whose, was the caller's to check.
// kUnauthenticated if it names nobody.
absl::StatusOr<User> UserOfCertificate(const Certificate& certificate);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_USER_H_
