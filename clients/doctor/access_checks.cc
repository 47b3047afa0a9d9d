#include "clients/doctor/access_checks.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "clients/doctor/shown_text.h"
#include "clients/kubernetes/token_secret_keys.h"

namespace latchkey {
namespace {

constexpr std::string_view kCsrGroup = "certificates.k8s.io";
constexpr std::string_view kCsrs = "certificatesigningrequests";
constexpr std::string_view kKubeletSigner =
    "kubernetes.io/kube-apiserver-client-kubelet";
constexpr std::string_view kRoles = "deploy/kubernetes/rbac.yaml";
constexpr char kBootstrapperBinding[] = "latchkey:node-bootstrapper";

// The rest of what is wrong where the bindings are not to be seen.
void SayNoBindings(const absl::Status& error, Finding& finding) {
  finding.evidence.push_back(fmt::format("which bindings: could not look ({})",
                                         Shown(std::string(error.message()))));
  finding.commands = {"kubectl get clusterrolebindings -o wide"};
  finding.advice =
      "find the binding that allows it, and take the subject out of it";
}

// Adds the bindings that do it, and how to undo them.
void AddGrants(const ClusterBindings& all, const ReviewedUser& who,
               const std::vector<AccessQuestion>& questions, Finding& finding) {
  std::set<std::string> seen;
  std::vector<std::string> lines;
  for (const AccessQuestion& question : questions) {
    for (const Grant& grant : GrantsOf(all, who, question)) {
      std::string line = Describe(grant);
      if (!seen.insert(line).second) continue;
      lines.push_back(std::move(line));
      finding.commands.push_back(CommandToRevoke(grant));
    }
  }
  for (const std::string& line : FirstOf(lines)) {
    finding.evidence.push_back(line);
  }
  if (lines.empty()) {
    finding.advice =
        "no binding that can be seen does it: look at the API server's other "
        "authorizers (--authorization-mode, webhooks)";
  }
}

// "get secrets in kube-system, create pods in kube-system".
std::string TextOf(const std::vector<AccessQuestion>& questions) {
  std::vector<std::string> texts;
  for (const AccessQuestion& question : questions) {
    texts.push_back(question.Text());
    // Includes all that follow.
    if (question.verb == "*") break;
  }
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::vector<std::string> MissingOf(const std::vector<Answered>& needed) {
  std::vector<std::string> missing;
  for (const Answered& one : needed) {
    if (!one.answer.allowed) missing.push_back(one.question.Text());
  }
  return missing;
}

Finding MissingRights(const ReviewedUser& broker,
                      const std::vector<std::string>& missing) {
  Finding finding{.id = "broker-rights-missing",
                  .severity = Severity::kError,
                  .message = fmt::format("{} may not do what a broker does",
                                         Shown(broker.name)),
                  .evidence = missing,
                  .commands = {fmt::format("kubectl apply -f {}", kRoles)}};
  if (broker.name != kBrokerAccount) {
    const std::string user = ShellWord(broker.name);
    finding.commands.push_back(fmt::format(
        "kubectl create clusterrolebinding {0} --clusterrole=latchkey:broker "
        "--user={0}",
        user));
    finding.commands.push_back(fmt::format(
        "kubectl -n kube-system create rolebinding {0} --role=latchkey:broker "
        "--user={0}",
        user));
  }
  return finding;
}

Finding ExcessRights(const ReviewedUser& broker,
                     const std::vector<Answered>& excess,
                     const absl::StatusOr<ClusterBindings>& bindings) {
  Finding finding{.id = "broker-rights-excess",
                  .severity = Severity::kWarning,
                  .message = fmt::format("{} may do more than a broker needs",
                                         Shown(broker.name))};
  std::vector<AccessQuestion> questions;
  for (const Answered& one : excess) {
    if (!one.answer.allowed) continue;
    questions.push_back(one.question);
    const bool all = one.question.name_space.empty() &&
                     one.question.name.empty() && one.question.verb != "*";
    finding.evidence.push_back(one.question.Text() +
                               (all ? ", all of them" : ""));
  }
  if (bindings.ok()) {
    AddGrants(*bindings, broker, questions, finding);
  } else {
    SayNoBindings(bindings.status(), finding);
  }
  return finding;
}

}  // namespace

const AccessQuestion kApprovesAnyNode = {.verb = "create",
                                         .group = kCsrGroup,
                                         .resource = kCsrs,
                                         .subresource = "nodeclient"};
const AccessQuestion kApprovesOwnNode = {.verb = "create",
                                         .group = kCsrGroup,
                                         .resource = kCsrs,
                                         .subresource = "selfnodeclient"};

const AccessQuestion kReviewsTokens = {.verb = "create",
                                       .group = "authentication.k8s.io",
                                       .resource = "tokenreviews"};

std::span<const AccessQuestion> WhatTokensNeed() {
  static constexpr std::array<AccessQuestion, 4> kNeeds = {{
      {.verb = "create", .group = kCsrGroup, .resource = kCsrs},
      {.verb = "get", .group = kCsrGroup, .resource = kCsrs},
      {.verb = "list", .group = kCsrGroup, .resource = kCsrs},
      {.verb = "watch", .group = kCsrGroup, .resource = kCsrs},
  }};
  return kNeeds;
}

std::span<const AccessQuestion> WhatTheBrokerNeeds() {
  const auto secrets = [](std::string_view verb) {
    return AccessQuestion{.verb = verb,
                          .group = "",
                          .resource = "secrets",
                          .name_space = kTokenNamespace};
  };
  static const std::array<AccessQuestion, 12> needs = {{
      {.verb = "get", .group = kCsrGroup, .resource = kCsrs},
      {.verb = "list", .group = kCsrGroup, .resource = kCsrs},
      {.verb = "watch", .group = kCsrGroup, .resource = kCsrs},
      {.verb = "update",
       .group = kCsrGroup,
       .resource = kCsrs,
       .subresource = "approval"},
      {.verb = "approve",
       .group = kCsrGroup,
       .resource = "signers",
       .name = kKubeletSigner},
      {.verb = "get", .group = "", .resource = "nodes"},
      secrets("get"),
      secrets("list"),
      secrets("watch"),
      secrets("create"),
      secrets("update"),
      secrets("delete"),
  }};
  return needs;
}

std::span<const AccessQuestion> WhatTheBrokerMayNot() {
  static constexpr std::array<AccessQuestion, 5> kTooMuch = {{
      {.verb = "*", .group = "*", .resource = "*"},
      {.verb = "list", .group = "", .resource = "secrets"},
      {.verb = "get", .group = "", .resource = "secrets"},
      {.verb = "approve", .group = kCsrGroup, .resource = "signers"},
      {.verb = "sign",
       .group = kCsrGroup,
       .resource = "signers",
       .name = kKubeletSigner},
  }};
  return kTooMuch;
}

std::span<const AccessQuestion> WhatTokensMayNot() {
  constexpr std::string_view kRbac = "rbac.authorization.k8s.io";
  static const std::array<AccessQuestion, 12> too_much = {{
      {.verb = "*", .group = "*", .resource = "*"},
      {.verb = "get",
       .group = "",
       .resource = "secrets",
       .name_space = kTokenNamespace},
      {.verb = "list",
       .group = "",
       .resource = "secrets",
       .name_space = kTokenNamespace},
      {.verb = "create",
       .group = "",
       .resource = "pods",
       .name_space = kTokenNamespace},
      {.verb = "create",
       .group = "",
       .resource = "serviceaccounts",
       .subresource = "token",
       .name_space = kTokenNamespace},
      {.verb = "update",
       .group = kCsrGroup,
       .resource = kCsrs,
       .subresource = "approval"},
      {.verb = "approve",
       .group = kCsrGroup,
       .resource = "signers",
       .name = kKubeletSigner},
      {.verb = "impersonate", .group = "", .resource = "users"},
      {.verb = "impersonate", .group = "", .resource = "groups"},
      {.verb = "impersonate", .group = "", .resource = "serviceaccounts"},
      {.verb = "escalate", .group = kRbac, .resource = "clusterroles"},
      {.verb = "bind", .group = kRbac, .resource = "clusterroles"},
  }};
  return too_much;
}

ReviewedUser UserOfToken(const std::vector<std::string>& groups) {
  ReviewedUser user{.name = "system:bootstrap:doctor",
                    .groups = {"system:bootstrappers"}};
  user.groups.insert(user.groups.end(), groups.begin(), groups.end());
  user.groups.emplace_back("system:authenticated");
  return user;
}

Finding JudgeAutoApproval(const std::vector<GroupAnswer>& groups,
                          const AccessAnswer& together,
                          const AccessAnswer& own_node,
                          const absl::StatusOr<ClusterBindings>& bindings) {
  Finding finding{.id = "auto-approval"};
  ReviewedUser allowed = UserOfToken({});
  allowed.groups.clear();
  std::vector<std::string> names;
  for (const GroupAnswer& one : groups) {
    names.push_back(Shown(one.group));
    if (one.answer.allowed) allowed.groups.push_back(one.group);
  }
  if (own_node.allowed) {
    finding.evidence.push_back(
        "create certificatesigningrequests/selfnodeclient is allowed, and "
        "harmless: it is for a Node that renews its own certificate, and a "
        "bootstrap token's user is no Node");
  }
  if (!together.allowed && allowed.groups.empty()) {
    finding.message =
        fmt::format("the stock approver approves no certificate request of {}",
                    fmt::join(names, ", "));
    return finding;
  }
  finding.severity = Severity::kError;
  finding.message =
      "the stock approver would approve certificate requests of Latchkey's "
      "tokens, for any node and any key";
  for (const std::string& group : allowed.groups) {
    finding.evidence.push_back(
        fmt::format("Group {} may create "
                    "certificatesigningrequests/nodeclient",
                    Shown(group)));
  }
  if (bindings.ok()) {
    AddGrants(*bindings, allowed, {kApprovesAnyNode}, finding);
  } else {
    if (!together.reason.empty()) {
      finding.evidence.push_back(Shown(together.reason));
    }
    SayNoBindings(bindings.status(), finding);
  }
  return finding;
}

Finding JudgeTokenGroup(const std::string& group,
                        const std::vector<Answered>& needed,
                        const absl::StatusOr<ClusterBindings>& bindings) {
  const std::vector<std::string> missing = MissingOf(needed);
  if (missing.empty()) {
    return {
        .id = "token-group-rights",
        .message = fmt::format(
            "Group {} may make and watch certificate requests", Shown(group))};
  }
  const std::string name =
      bindings.ok() ? FreeBindingName(*bindings, kBootstrapperBinding)
                    : kBootstrapperBinding;
  return {.id = "token-group-rights",
          .severity = Severity::kError,
          .message = fmt::format(
              "a machine with a token of Group {} cannot join", Shown(group)),
          .evidence = missing,
          .commands = {fmt::format("kubectl create clusterrolebinding {} "
                                   "--clusterrole=system:node-bootstrapper "
                                   "--group={}",
                                   name, ShellWord(group))}};
}

Finding JudgeTokenExcess(const std::vector<GroupExcess>& groups,
                         const std::vector<AccessQuestion>& together,
                         const absl::StatusOr<ClusterBindings>& bindings) {
  Finding finding{.id = "token-group-excess"};
  ReviewedUser allowed = UserOfToken({});
  allowed.groups.clear();
  std::vector<std::string> names;
  std::vector<AccessQuestion> questions = together;
  bool ours = false;
  for (const GroupExcess& one : groups) {
    names.push_back(Shown(one.group));
    if (one.allowed.empty()) continue;
    ours = ours || one.ours;
    allowed.groups.push_back(one.group);
    questions.insert(questions.end(), one.allowed.begin(), one.allowed.end());
    finding.evidence.push_back(
        fmt::format("Group {} may {}", Shown(one.group), TextOf(one.allowed)));
  }
  if (questions.empty()) {
    finding.message = fmt::format(
        "whoever has a bootstrap token may not read Secrets, run pods, approve "
        "requests or become somebody else; looked at: {}",
        fmt::join(FirstOf(names), ", "));
    return finding;
  }
  // Whose it is cannot be told: then it may be ours.
  const bool nobody_alone = allowed.groups.empty();
  finding.severity =
      ours || nobody_alone ? Severity::kError : Severity::kWarning;
  finding.message = "whoever has a bootstrap token may do far more than join";
  if (nobody_alone) {
    finding.evidence.push_back(
        fmt::format("who is in all groups may {}", TextOf(together)));
  }
  finding.evidence = FirstOf(finding.evidence);
  if (bindings.ok()) {
    AddGrants(*bindings, allowed, questions, finding);
  } else {
    SayNoBindings(bindings.status(), finding);
  }
  return finding;
}

Findings JudgeBroker(const ReviewedUser& broker,
                     const std::vector<Answered>& needed,
                     const std::vector<Answered>& excess,
                     const absl::StatusOr<ClusterBindings>& bindings) {
  Findings findings;
  const std::vector<std::string> missing = MissingOf(needed);
  if (!missing.empty()) findings.push_back(MissingRights(broker, missing));
  const bool too_much =
      std::any_of(excess.begin(), excess.end(),
                  [](const Answered& one) { return one.answer.allowed; });
  if (too_much) findings.push_back(ExcessRights(broker, excess, bindings));
  if (findings.empty()) {
    findings.push_back(
        {.id = "broker-rights",
         .message = fmt::format("{} may do what a broker does, and no more of "
                                "what was asked",
                                Shown(broker.name))});
  }
  return findings;
}

}  // namespace latchkey
