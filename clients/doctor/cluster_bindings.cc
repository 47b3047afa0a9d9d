#include "clients/doctor/cluster_bindings.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include <fmt/format.h>

#include "clients/doctor/shown_text.h"
#include "clients/kubernetes/token_secret_keys.h"
#include "clients/log/event_log.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

using kubernetes::ClusterRole;
using kubernetes::ClusterRoleBinding;
using kubernetes::PolicyRule;
using kubernetes::Subject;
using Words = google::protobuf::RepeatedPtrField<std::string>;

constexpr int64_t kPage = 500;

constexpr Resource kRoles = {"rbac.authorization.k8s.io/v1", "Role", "roles",
                             true};
constexpr Resource kRoleBindings = {"rbac.authorization.k8s.io/v1",
                                    "RoleBinding", "rolebindings", true};

template <typename List, typename Object>
absl::Status ReadAll(KubernetesClient& client, const Resource& resource,
                     std::vector<Object>& all) {
  ListQuery query{.limit = kPage};
  if (resource.namespaced) query.name_space = std::string(kTokenNamespace);
  do {
    List page;
    LATCHKEY_RETURN_IF_ERROR(client.ListObjects(resource, query, page));
    for (Object& one : *page.mutable_items()) all.push_back(std::move(one));
    query.continue_token = page.metadata().continue_();
  } while (!query.continue_token.empty());
  return absl::OkStatus();
}

bool Has(const Words& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool HasOrAll(const Words& words, std::string_view word) {
  return Has(words, "*") || Has(words, word);
}

// RBAC's own rules: "*" is every resource with every subresource, and
// "*/status" that subresource of each.
bool CoversResource(const PolicyRule& rule, const AccessQuestion& question) {
  if (question.subresource.empty()) {
    return HasOrAll(rule.resources(), question.resource);
  }
  return HasOrAll(rule.resources(), fmt::format("{}/{}", question.resource,
                                                question.subresource)) ||
         Has(rule.resources(), fmt::format("*/{}", question.subresource));
}

bool Permits(const PolicyRule& rule, const AccessQuestion& question) {
  return HasOrAll(rule.verbs(), question.verb) &&
         HasOrAll(rule.api_groups(), question.group) &&
         CoversResource(rule, question) &&
         (rule.resource_names().empty() ||
          Has(rule.resource_names(), question.name));
}

bool Permits(const ClusterBindings& all, const kubernetes::RoleRef& ref,
             const AccessQuestion& question) {
  for (const ClusterRole& role :
       ref.kind() == "Role" ? all.token_roles : all.roles) {
    if (role.metadata().name() != ref.name()) continue;
    return std::any_of(
        role.rules().begin(), role.rules().end(),
        [&](const PolicyRule& rule) { return Permits(rule, question); });
  }
  return false;
}

bool Reaches(const Subject& subject, const ReviewedUser& who) {
  if (subject.kind() == "User") return subject.name() == who.name;
  if (subject.kind() == "Group") {
    return std::find(who.groups.begin(), who.groups.end(), subject.name()) !=
           who.groups.end();
  }
  return subject.kind() == "ServiceAccount" &&
         who.name == fmt::format("system:serviceaccount:{}:{}",
                                 subject.namespace_(), subject.name());
}

// A JSON patch that takes subjects out, the last first, since each removal
// moves those behind it. The tests make it fail on a binding that was changed.
std::string PatchWithout(const Grant& grant) {
  std::string patch = "[";
  for (auto at = grant.subjects.rbegin(); at != grant.subjects.rend(); ++at) {
    if (patch.size() > 1) patch += ",";
    patch += fmt::format(
        R"({{"op":"test","path":"/subjects/{0}/name","value":{1}}},)"
        R"({{"op":"remove","path":"/subjects/{0}"}})",
        *at, JsonString(grant.binding->subjects(*at).name()));
  }
  return patch + "]";
}

}  // namespace

absl::StatusOr<ClusterBindings> ReadClusterBindings(KubernetesClient& client) {
  ClusterBindings all;
  LATCHKEY_RETURN_IF_ERROR(
      ReadAll<kubernetes::ClusterRoleList>(client, kClusterRoles, all.roles));
  LATCHKEY_RETURN_IF_ERROR(ReadAll<kubernetes::ClusterRoleBindingList>(
      client, kClusterRoleBindings, all.bindings));
  ReadAll<kubernetes::ClusterRoleList>(client, kRoles, all.token_roles)
      .IgnoreError();
  ReadAll<kubernetes::ClusterRoleBindingList>(client, kRoleBindings,
                                              all.token_bindings)
      .IgnoreError();
  return all;
}

std::vector<Grant> GrantsOf(const ClusterBindings& all, const ReviewedUser& who,
                            const AccessQuestion& question) {
  std::vector<Grant> grants;
  const auto look = [&](const std::vector<ClusterRoleBinding>& bindings,
                        bool in_kube_system) {
    for (const ClusterRoleBinding& binding : bindings) {
      Grant grant{.binding = &binding,
                  .subjects = {},
                  .in_kube_system = in_kube_system};
      for (int i = 0; i < binding.subjects_size(); ++i) {
        if (Reaches(binding.subjects(i), who)) grant.subjects.push_back(i);
      }
      if (!grant.subjects.empty() &&
          Permits(all, binding.role_ref(), question)) {
        grants.push_back(std::move(grant));
      }
    }
  };
  look(all.bindings, false);
  if (question.name_space == kTokenNamespace) look(all.token_bindings, true);
  return grants;
}

std::string Describe(const Grant& grant) {
  std::string subjects;
  for (const int at : grant.subjects) {
    const Subject& subject = grant.binding->subjects(at);
    if (!subjects.empty()) subjects += ", ";
    subjects +=
        fmt::format("{} {}", Shown(subject.kind()), Shown(subject.name()));
  }
  const std::string name = Shown(grant.binding->metadata().name());
  return fmt::format("{} of {} {} to {}",
                     grant.in_kube_system
                         ? fmt::format("RoleBinding {} in kube-system", name)
                         : fmt::format("ClusterRoleBinding {}", name),
                     Shown(grant.binding->role_ref().kind()),
                     Shown(grant.binding->role_ref().name()), subjects);
}

std::string CommandToRevoke(const Grant& grant) {
  const std::string name = ShellWord(grant.binding->metadata().name());
  const auto count = static_cast<size_t>(grant.binding->subjects_size());
  const std::string_view scope =
      grant.in_kube_system ? "-n kube-system " : std::string_view();
  const std::string_view kind =
      grant.in_kube_system ? "rolebinding" : "clusterrolebinding";
  if (grant.subjects.size() == count) {
    return fmt::format("kubectl {}delete {} --ignore-not-found -- {}", scope,
                       kind, name);
  }
  return fmt::format("kubectl {}patch {} --type=json -p {} -- {}", scope, kind,
                     ShellWord(PatchWithout(grant)), name);
}

std::string FreeBindingName(const ClusterBindings& all,
                            const std::string& wanted) {
  std::string name = wanted;
  for (int suffix = 2;; ++suffix) {
    const bool taken = std::any_of(
        all.bindings.begin(), all.bindings.end(),
        [&](const auto& one) { return one.metadata().name() == name; });
    if (!taken) return name;
    name = fmt::format("{}-{}", wanted, suffix);
  }
}

}  // namespace latchkey
