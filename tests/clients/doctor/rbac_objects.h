// Roles and bindings to begin tests from.

#ifndef LATCHKEY_TESTS_CLIENTS_DOCTOR_RBAC_OBJECTS_H_
#define LATCHKEY_TESTS_CLIENTS_DOCTOR_RBAC_OBJECTS_H_

#include <string>
#include <utility>
#include <vector>

#include "clients/kubernetes/resource.h"

namespace latchkey_testing {

struct RuleWords {
  std::vector<std::string> verbs;
  std::vector<std::string> groups;
  std::vector<std::string> resources;
  std::vector<std::string> names = {};
};

inline latchkey::kubernetes::ClusterRole RoleOf(const std::string& name,
                                                const RuleWords& words) {
  latchkey::kubernetes::ClusterRole role;
  role.mutable_metadata()->set_name(name);
  auto& rule = *role.add_rules();
  for (const auto& word : words.verbs) rule.add_verbs(word);
  for (const auto& word : words.groups) rule.add_api_groups(word);
  for (const auto& word : words.resources) rule.add_resources(word);
  for (const auto& word : words.names) rule.add_resource_names(word);
  return role;
}

// The role by which the stock approver approves.
inline latchkey::kubernetes::ClusterRole NodeclientRole() {
  return RoleOf("nodeclient",
                {.verbs = {"create"},
                 .groups = {"certificates.k8s.io"},
                 .resources = {"certificatesigningrequests/nodeclient"}});
}

// `subjects`: kind and name.
inline latchkey::kubernetes::ClusterRoleBinding BindingOf(
    const std::string& name, const std::string& role,
    const std::vector<std::pair<std::string, std::string>>& subjects) {
  latchkey::kubernetes::ClusterRoleBinding binding;
  binding.mutable_metadata()->set_name(name);
  binding.mutable_role_ref()->set_kind("ClusterRole");
  binding.mutable_role_ref()->set_name(role);
  for (const auto& [kind, subject] : subjects) {
    auto& added = *binding.add_subjects();
    added.set_kind(kind);
    added.set_name(subject);
    if (kind == "ServiceAccount") added.set_namespace_("kube-system");
  }
  return binding;
}

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_CLIENTS_DOCTOR_RBAC_OBJECTS_H_
