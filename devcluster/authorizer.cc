#include "devcluster/authorizer.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include <fmt/format.h>

namespace latchkey {
namespace {

constexpr char kCsrs[] = "certificatesigningrequests";
constexpr char kCsrGroup[] = "certificates.k8s.io";
constexpr char kReviewGroup[] = "authorization.k8s.io";
constexpr char kKubeletSigner[] = "kubernetes.io/kube-apiserver-client-kubelet";
constexpr char kDefaultTokenGroup[] =
    "system:bootstrappers:kubeadm:default-node-token";
// In place of a name: that of the Node that asks.
constexpr char kOwn[] = "<own>";

using Words = std::vector<std::string_view>;

struct Rule {
  Words verbs;
  std::string_view group = {};
  Words resources = {};              // "RESOURCE" or "RESOURCE/SUBRESOURCE"
  std::string_view name_space = {};  // empty: any
  Words names = {};                  // none: any
  Words paths = {};                  // in place of resources; may end in '*'
};

enum class SubjectKind { kUser, kGroup, kNode };

struct Binding {
  std::string_view name;
  SubjectKind kind;
  std::string_view subject;  // of a Node: nothing
  std::vector<Rule> rules;
};

std::vector<Rule> NodeBootstrapper() {
  return {{.verbs = {"create", "get", "list", "watch"},
           .group = kCsrGroup,
           .resources = {kCsrs}}};
}

// deploy/kubernetes/rbac.yaml.
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
          {.verbs = {"get", "list", "watch", "create", "update", "delete"},
           .resources = {"secrets"},
           .name_space = "kube-system"}};
}

// Whose names a create carries only in the object, which admission checks.
std::vector<Rule> Kubelet() {
  return {{.verbs = {"create"}, .resources = {"nodes", "events"}},
          {.verbs = {"get", "list", "watch", "update", "patch"},
           .resources = {"nodes"},
           .names = {kOwn}},
          {.verbs = {"update", "patch"},
           .resources = {"nodes/status"},
           .names = {kOwn}},
          {.verbs = {"create"},
           .group = "coordination.k8s.io",
           .resources = {"leases"},
           .name_space = "kube-node-lease"},
          {.verbs = {"get", "update", "patch", "delete"},
           .group = "coordination.k8s.io",
           .resources = {"leases"},
           .name_space = "kube-node-lease",
           .names = {kOwn}},
          {.verbs = {"create", "get", "list", "watch"},
           .group = kCsrGroup,
           .resources = {kCsrs}},
          {.verbs = {"create"},
           .group = kCsrGroup,
           .resources = {"certificatesigningrequests/selfnodeclient"}}};
}

std::vector<Binding> MakeBindings() {
  return {
      {"latchkey:node-bootstrapper", SubjectKind::kGroup,
       "system:bootstrappers:latchkey", NodeBootstrapper()},
      {"kubeadm:kubelet-bootstrap", SubjectKind::kGroup, kDefaultTokenGroup,
       NodeBootstrapper()},
      {"latchkey:broker", SubjectKind::kUser,
       "system:serviceaccount:kube-system:latchkey", Broker()},
      {"system:node", SubjectKind::kNode, "", Kubelet()},
      {"system:basic-user",
       SubjectKind::kGroup,
       "system:authenticated",
       {{.verbs = {"create"},
         .group = kReviewGroup,
         .resources = {"selfsubjectaccessreviews"}},
        {.verbs = {"create"},
         .group = "authentication.k8s.io",
         .resources = {"selfsubjectreviews"}}}},
      {"system:discovery",
       SubjectKind::kGroup,
       "system:authenticated",
       {{.verbs = {"get"},
         .paths = {"/api", "/api/*", "/apis", "/apis/*", "/openapi",
                   "/openapi/*", "/healthz", "/livez", "/readyz", "/version",
                   "/version/"}}}},
      {"system:public-info-viewer",
       SubjectKind::kUser,
       "system:anonymous",
       {{.verbs = {"get"},
         .paths = {"/healthz", "/livez", "/readyz", "/version", "/version/"}}}},
      {"kubeadm:bootstrap-signer-clusterinfo",
       SubjectKind::kUser,
       "system:anonymous",
       {{.verbs = {"get"},
         .resources = {"configmaps"},
         .name_space = "kube-public",
         .names = {"cluster-info"}}}},
  };
}

const Binding& StockApproverBinding() {
  static const Binding binding = {
      "kubeadm:node-autoapprove-bootstrap",
      SubjectKind::kGroup,
      kDefaultTokenGroup,
      {{.verbs = {"create"},
        .group = kCsrGroup,
        .resources = {"certificatesigningrequests/nodeclient"}}}};
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
  const std::string resource =
      access.subresource.empty()
          ? access.resource
          : fmt::format("{}/{}", access.resource, access.subresource);
  if (rule.group != access.group || !Contains(rule.resources, resource)) {
    return false;
  }
  if (!rule.name_space.empty() && rule.name_space != access.name_space) {
    return false;
  }
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
  if (IsMember(user, "system:masters")) return "group system:masters";
  static const std::vector<Binding> bindings = MakeBindings();
  const std::string own = NodeOfUser(user).value_or("");
  const auto allows = [&](const Binding& binding) {
    return IsBound(binding, user, own) &&
           std::any_of(
               binding.rules.begin(), binding.rules.end(),
               [&](const Rule& rule) { return Matches(rule, access, own); });
  };
  const auto found = std::find_if(bindings.begin(), bindings.end(), allows);
  const Binding* binding = found == bindings.end() ? nullptr : &*found;
  if (binding == nullptr && stock_approver_ && allows(StockApproverBinding())) {
    binding = &StockApproverBinding();
  }
  if (binding == nullptr) return std::nullopt;
  return fmt::format("RBAC: allowed by \"{}\"", binding->name);
}

}  // namespace latchkey
