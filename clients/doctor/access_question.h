// Asking the API server who may do what, by access reviews: its authorizers
// answer, whatever they are, and nothing is done.

#ifndef LATCHKEY_CLIENTS_DOCTOR_ACCESS_QUESTION_H_
#define LATCHKEY_CLIENTS_DOCTOR_ACCESS_QUESTION_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "clients/kubernetes/kubernetes_client.h"

namespace latchkey {

// One verb on one resource. `name` empty: whatever its name; `name_space`
// empty: in all of them.
struct AccessQuestion {
  std::string_view verb;
  std::string_view group;  // empty: the core group
  std::string_view resource;
  std::string_view subresource = {};
  std::string_view name = {};
  std::string_view name_space = {};

  // "create certificatesigningrequests/nodeclient".
  std::string Text() const;
};

struct AccessAnswer {
  bool allowed = false;
  // The authorizer's words; may be empty, and may hold names of objects.
  std::string reason = {};
};

// Who it is about.
struct ReviewedUser {
  std::string name;
  std::vector<std::string> groups;

  // In the groups that the API server gives to every authenticated user, and to
  // a ServiceAccount.
  static ReviewedUser Named(const std::string& name);
};

// `who` nullopt: the caller. Errors are the client's: kPermissionDenied if the
// caller may not ask about others.
absl::StatusOr<AccessAnswer> Ask(KubernetesClient& client,
                                 const std::optional<ReviewedUser>& who,
                                 const AccessQuestion& question);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_DOCTOR_ACCESS_QUESTION_H_
