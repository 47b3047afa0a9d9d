// The checks of the bootstrap tokens that are in a cluster, Latchkey's and
// others'.

#ifndef LATCHKEY_CLIENTS_DOCTOR_TOKEN_CHECKS_H_
#define LATCHKEY_CLIENTS_DOCTOR_TOKEN_CHECKS_H_

#include <optional>
#include <set>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/doctor/finding.h"
#include "clients/kubernetes/kubernetes_client.h"

namespace latchkey {

// What there is to know of a token without its secret.
struct TokenView {
  std::string secret_name;
  // Labelled as Latchkey's.
  bool ours = false;
  // Nullopt: it says none, so the token never ends. The infinite past: what it
  // says is no time, which the API server takes for expired.
  std::optional<absl::Time> expiration;
  bool authenticates = false;
  bool signs = false;
  std::vector<std::string> groups;
  // One of the groups has not the form that the API server wants, which makes
  // it refuse the token.
  bool bad_group = false;
  // Of ours: what makes it unreadable to the broker, or is not as the broker
  // writes it; empty: nothing.
  std::string fault;

  bool IsLive(absl::Time now) const {
    return authenticates && !bad_group && (!expiration || *expiration > now);
  }
};

TokenView ViewToken(const kubernetes::Secret& secret);

// All of them, in pages; the secrets are wiped as they are read. Errors are the
// client's.
absl::StatusOr<std::vector<TokenView>> ReadTokens(KubernetesClient& client);

// Every group that a live token names.
std::set<std::string> GroupsOfLiveTokens(const std::vector<TokenView>& tokens,
                                         absl::Time now);

// "token-without-expiration", "token-long-lived", "token-expired",
// "token-foreign", "token-signing", "token-groups", "token-auto-approved",
// "token-altered"; if there are none of these, "bootstrap-tokens". `approved`
// are groups whose CSRs the stock approver approves.
Findings JudgeTokens(const std::vector<TokenView>& tokens,
                     const std::set<std::string>& approved, absl::Time now);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_DOCTOR_TOKEN_CHECKS_H_
