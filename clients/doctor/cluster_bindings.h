// The bindings of a cluster, and of kube-system, where the tokens are: which of
// them give somebody something, and how to take it away again. Access reviews
// say whether; this says why.

#ifndef LATCHKEY_CLIENTS_DOCTOR_CLUSTER_BINDINGS_H_
#define LATCHKEY_CLIENTS_DOCTOR_CLUSTER_BINDINGS_H_

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "clients/doctor/access_question.h"
#include "clients/kubernetes/kubernetes_client.h"

namespace latchkey {

struct ClusterBindings {
  std::vector<kubernetes::ClusterRole> roles;
  std::vector<kubernetes::ClusterRoleBinding> bindings;
  // Roles and RoleBindings in kube-system, which have the same fields.
  std::vector<kubernetes::ClusterRole> token_roles = {};
  std::vector<kubernetes::ClusterRoleBinding> token_bindings = {};
};

// Lists all. Errors are the client's; but without those of kube-system, if they
// may not be seen.
absl::StatusOr<ClusterBindings> ReadClusterBindings(KubernetesClient& client);

// A binding, and those of its subjects through which it reaches somebody.
struct Grant {
  const kubernetes::ClusterRoleBinding* binding;
  std::vector<int> subjects;
  // A RoleBinding in kube-system.
  bool in_kube_system = false;
};

// The bindings by which `who`, or one of its groups, may do what `question`
// asks in the whole cluster, or, if it asks about kube-system, there. They
// borrow `all`.
std::vector<Grant> GrantsOf(const ClusterBindings& all, const ReviewedUser& who,
                            const AccessQuestion& question);

// "ClusterRoleBinding x of ClusterRole y to Group z".
std::string Describe(const Grant& grant);

// Takes the subjects out of the binding, or deletes it if it has no others. The
// command fails, and changes nothing, if the binding is another one by then.
std::string CommandToRevoke(const Grant& grant);

// A name that no binding has: `wanted`, or one that begins with it.
std::string FreeBindingName(const ClusterBindings& all,
                            const std::string& wanted);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_DOCTOR_CLUSTER_BINDINGS_H_
