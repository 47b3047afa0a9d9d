// The checks of who may do what: that nothing but Latchkey approves the CSRs of
// its tokens, that its tokens can make them, and that the broker may do what it
// must and no more.
//
// The Judge functions are pure; the answers are of access reviews.

#ifndef LATCHKEY_CLIENTS_DOCTOR_ACCESS_CHECKS_H_
#define LATCHKEY_CLIENTS_DOCTOR_ACCESS_CHECKS_H_

#include <span>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "clients/doctor/access_question.h"
#include "clients/doctor/cluster_bindings.h"
#include "clients/doctor/finding.h"

namespace latchkey {

// What the stock approver asks before it approves a CSR for a Node's client
// certificate: of anybody who asks for any Node's; and of a Node that asks for
// its own. The second is harmless to us: a bootstrap token's user is no Node.
extern const AccessQuestion kApprovesAnyNode;
extern const AccessQuestion kApprovesOwnNode;

// Of the group of Latchkey's tokens (system:node-bootstrapper).
std::span<const AccessQuestion> WhatTokensNeed();
// Of the broker's account: deploy/kubernetes/rbac.yaml, which has no more.
std::span<const AccessQuestion> WhatTheBrokerNeeds();
// And of one that lets ServiceAccounts mint: their tokens are reviewed.
extern const AccessQuestion kReviewsTokens;
// What no broker needs, and an intruder would like most.
std::span<const AccessQuestion> WhatTheBrokerMayNot();

// What no bootstrap token needs, and a thief of one would like most: asked of
// the whole cluster or, where a namespace is what it is about, of kube-system.
std::span<const AccessQuestion> WhatTokensMayNot();

struct Answered {
  AccessQuestion question;
  AccessAnswer answer;
};

// A user with a bootstrap token in these groups, beside the group that all have
// and that of all who are authenticated.
ReviewedUser UserOfToken(const std::vector<std::string>& groups);

// Of one group, whether its members may do kApprovesAnyNode.
struct GroupAnswer {
  std::string group;
  AccessAnswer answer;
};

// "auto-approval". `together` is the answer about a user in all the groups;
// `own_node` that about kApprovesOwnNode. `bindings` is used only if something
// is wrong.
Finding JudgeAutoApproval(const std::vector<GroupAnswer>& groups,
                          const AccessAnswer& together,
                          const AccessAnswer& own_node,
                          const absl::StatusOr<ClusterBindings>& bindings);

// "token-group-rights".
Finding JudgeTokenGroup(const std::string& group,
                        const std::vector<Answered>& needed,
                        const absl::StatusOr<ClusterBindings>& bindings);

// Of one group, what its members may do of WhatTokensMayNot().
struct GroupExcess {
  std::string group;
  // Latchkey's tokens are in it.
  bool ours = false;
  std::vector<AccessQuestion> allowed = {};
};

// "token-group-excess": an error if Latchkey's own tokens have it. `together`
// is what a user in all the groups may do.
Finding JudgeTokenExcess(const std::vector<GroupExcess>& groups,
                         const std::vector<AccessQuestion>& together,
                         const absl::StatusOr<ClusterBindings>& bindings);

// "broker-rights", "broker-rights-missing", "broker-rights-excess".
Findings JudgeBroker(const ReviewedUser& broker,
                     const std::vector<Answered>& needed,
                     const std::vector<Answered>& excess,
                     const absl::StatusOr<ClusterBindings>& bindings);

// The account of deploy/kubernetes/rbac.yaml.
inline constexpr char kBrokerAccount[] =
    "system:serviceaccount:kube-system:latchkey";

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_DOCTOR_ACCESS_CHECKS_H_
