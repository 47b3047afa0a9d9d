#include "devcluster/authorizer.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

namespace latchkey {
namespace {

constexpr char kCsrs[] = "certificatesigningrequests";
constexpr char kCsrGroup[] = "certificates.k8s.io";
constexpr char kLeaseGroup[] = "coordination.k8s.io";
constexpr char kKubeletSigner[] = "kubernetes.io/kube-apiserver-client-kubelet";
constexpr char kDefaultTokenGroup[] =
    "system:bootstrappers:kubeadm:default-node-token";
constexpr char kMasters[] = "system:masters";
// In place of a name: that of the Node that asks.
constexpr char kOwn[] = "<own>";

using Words = std::vector<std::string_view>;

struct Rule {
  Words verbs;
  std::string_view group = {};
  Words resources = {};  // "RESOURCE" or "RESOURCE/SUBRESOURCE"
  Words names = {};      // none: any
  Words paths = {};      // in place of resources; may end in '*'
};

enum class SubjectKind { kUser, kGroup, kNode };

struct Binding {
  std::string_view name;
  std::string_view role;
  // Of a RoleBinding; empty: a ClusterRoleBinding.
  std::string_view name_space;
  SubjectKind kind;
  std::string_view subject;  // of a Node: nothing
  std::vector<Rule> rules;
};

std::vector<Rule> NodeBootstrapper() {
  return {{.verbs = {"create", "get", "list", "watch"},
           .group = kCsrGroup,
           .resources = {kCsrs}}};
}

// deploy/kubernetes/rbac.yaml, the ClusterRole and the Role.
std::vector<Rule> Broker() {
  return {{.verbs = {"get", "list", "watch"},
           .group = kCsrGroup,
           .resources = {kCsrs}},
          {.verbs = {"update"},
           .group = kCsrGroup,
           .resources = {"certificatesigningrequests/approval"}},
          {.verbs = {"approve"},
           .group = kCsrGroup,
           .resources = {"signers"},
           .names = {kKubeletSigner}},
          {.verbs = {"get"}, .resources = {"nodes"}},
          {.verbs = {"create"},
           .group = "authentication.k8s.io",
           .resources = {"tokenreviews"}}};
}
std::vector<Rule> BrokerOfSecrets() {
  return {{.verbs = {"get", "list", "watch", "create", "update", "delete"},
           .resources = {"secrets"}}};
}

// Those of the Node authorizer. What a create makes is named in the object
// only, which admission checks.
std::vector<Rule> Kubelet() {
  return {{.verbs = {"create"}, .resources = {"nodes", "events"}},
          {.verbs = {"get", "list", "watch", "update", "patch"},
           .resources = {"nodes"},
           .names = {kOwn}},
          {.verbs = {"update", "patch"},
           .resources = {"nodes/status"},
           .names = {kOwn}},
          {.verbs = {"create", "get", "list", "watch"},
           .group = kCsrGroup,
           .resources = {kCsrs}}};
}
std::vector<Rule> KubeletLease() {
  return {{.verbs = {"create"}, .group = kLeaseGroup, .resources = {"leases"}},
          {.verbs = {"get", "update", "patch", "delete"},
           .group = kLeaseGroup,
           .resources = {"leases"},
           .names = {kOwn}}};
}

std::vector<Rule> BasicUser() {
  return {{.verbs = {"create"},
           .group = "authorization.k8s.io",
           .resources = {"selfsubjectaccessreviews"}},
          {.verbs = {"create"},
           .group = "authentication.k8s.io",
           .resources = {"selfsubjectreviews"}}};
}
std::vector<Rule> Discovery() {
  return {{.verbs = {"get"},
           .paths = {"/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez",
                     "/openapi", "/openapi/*", "/readyz", "/version",
                     "/version/"}}};
}
std::vector<Rule> PublicInfo() {
  return {
      {.verbs = {"get"},
       .paths = {"/healthz", "/livez", "/readyz", "/version", "/version/"}}};
}
std::vector<Rule> ClusterInfo() {
  return {{.verbs = {"get"},
           .resources = {"configmaps"},
           .names = {"cluster-info"}}};
}
// That a CSR of this sort be approved, which the stock approver asks.
std::vector<Rule> Approvable(std::string_view subresource) {
  return {
      {.verbs = {"create"}, .group = kCsrGroup, .resources = {subresource}}};
}

std::vector<Binding> MakeBindings() {
  constexpr std::string_view kBroker = "latchkey:broker";
  constexpr std::string_view kBrokerUser =
      "system:serviceaccount:kube-system:latchkey";
  constexpr std::string_view kEverybody = "system:authenticated";
  constexpr auto kGroup = SubjectKind::kGroup;
  constexpr auto kUser = SubjectKind::kUser;
  constexpr auto kNode = SubjectKind::kNode;
  return {
      {"latchkey:node-bootstrapper", "system:node-bootstrapper", "", kGroup,
       "system:bootstrappers:latchkey", NodeBootstrapper()},
      {"kubeadm:kubelet-bootstrap", "system:node-bootstrapper", "", kGroup,
       kDefaultTokenGroup, NodeBootstrapper()},
      {kBroker, kBroker, "", kUser, kBrokerUser, Broker()},
      {kBroker, kBroker, "kube-system", kUser, kBrokerUser, BrokerOfSecrets()},
      {"", "", "", kNode, "", Kubelet()},
      {"", "", "kube-node-lease", kNode, "", KubeletLease()},
      {"kubeadm:node-autoapprove-certificate-rotation",
       "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
       "", kGroup, "system:nodes",
       Approvable("certificatesigningrequests/selfnodeclient")},
      {"system:basic-user", "system:basic-user", "", kGroup, kEverybody,
       BasicUser()},
      {"system:discovery", "system:discovery", "", kGroup, kEverybody,
       Discovery()},
      {"system:public-info-viewer", "system:public-info-viewer", "", kGroup,
       "system:unauthenticated", PublicInfo()},
      {"kubeadm:bootstrap-signer-clusterinfo",
       "kubeadm:bootstrap-signer-clusterinfo", "kube-public", kUser,
       "system:anonymous", ClusterInfo()},
  };
}

const Binding& StockApproverBinding() {
  static const Binding binding = {
      "kubeadm:node-autoapprove-bootstrap",
      "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
      "",
      SubjectKind::kGroup,
      kDefaultTokenGroup,
      Approvable("certificatesigningrequests/nodeclient")};
  return binding;
}

bool Contains(const Words& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool IsMember(const User& user, std::string_view group) {
  return std::find(user.groups.begin(), user.groups.end(), group) !=
         user.groups.end();
}

bool MatchesPath(const Words& patterns, std::string_view path) {
  return std::any_of(patterns.begin(), patterns.end(), [&](auto pattern) {
    if (!pattern.ends_with('*')) return pattern == path;
    return path.starts_with(pattern.substr(0, pattern.size() - 1));
  });
}

bool Matches(const Rule& rule, const Access& access, std::string_view own) {
  if (!Contains(rule.verbs, access.verb)) return false;
  if (!access.path.empty()) return MatchesPath(rule.paths, access.path);
  if (rule.group != access.group) return false;
  const bool listed =
      access.subresource.empty()
          ? Contains(rule.resources, access.resource)
          : Contains(rule.resources,
                     fmt::format("{}/{}", access.resource, access.subresource));
  if (!listed) return false;
  return rule.names.empty() || Contains(rule.names, access.name) ||
         (Contains(rule.names, kOwn) && !own.empty() && access.name == own);
}

bool IsBound(const Binding& binding, const User& user, std::string_view own) {
  switch (binding.kind) {
    case SubjectKind::kUser:
      return user.name == binding.subject;
    case SubjectKind::kGroup:
      return IsMember(user, binding.subject);
    case SubjectKind::kNode:
      return !own.empty();
  }
  return false;
}

bool Permits(const Binding& binding, const User& user, std::string_view own,
             const Access& access) {
  return IsBound(binding, user, own) &&
         (binding.name_space.empty() ||
          binding.name_space == access.name_space) &&
         std::any_of(
             binding.rules.begin(), binding.rules.end(),
             [&](const Rule& rule) { return Matches(rule, access, own); });
}

// What lets `user` do it; null: nothing.
const Binding* FindBinding(const User& user, const Access& access,
                           bool stock_approver) {
  static const std::vector<Binding> bindings = MakeBindings();
  const std::string own = NodeOfUser(user).value_or("");
  for (const Binding& binding : bindings) {
    if (Permits(binding, user, own, access)) return &binding;
  }
  if (stock_approver && Permits(StockApproverBinding(), user, own, access)) {
    return &StockApproverBinding();
  }
  return nullptr;
}

std::string Explain(const Binding& binding) {
  if (binding.kind == SubjectKind::kNode) return "";
  const bool everywhere = binding.name_space.empty();
  return fmt::format("RBAC: allowed by {} \"{}{}{}\" of {} \"{}\" to {} \"{}\"",
                     everywhere ? "ClusterRoleBinding" : "RoleBinding",
                     binding.name, everywhere ? "" : "/", binding.name_space,
                     everywhere ? "ClusterRole" : "Role", binding.role,
                     binding.kind == SubjectKind::kUser ? "User" : "Group",
                     binding.subject);
}

}  // namespace

std::optional<std::string> NodeOfUser(const User& user) {
  constexpr std::string_view kPrefix = "system:node:";
  if (!user.name.starts_with(kPrefix) || user.name.size() == kPrefix.size() ||
      !IsMember(user, "system:nodes")) {
    return std::nullopt;
  }
  return user.name.substr(kPrefix.size());
}

std::optional<std::string> Authorizer::WhyAllowed(const User& user,
                                                  const Access& access) const {
  if (IsMember(user, kMasters)) return "";
  const Binding* binding = FindBinding(user, access, stock_approver_);
  if (binding == nullptr) return std::nullopt;
  return Explain(*binding);
}

bool Authorizer::Allows(const User& user, const Access& access) const {
  return IsMember(user, kMasters) ||
         FindBinding(user, access, stock_approver_) != nullptr;
}

}  // namespace latchkey
