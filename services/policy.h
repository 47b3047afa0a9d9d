// Which provisioner may mint what. Deny by default; data, never code.

#ifndef LATCHKEY_SERVICES_POLICY_H_
#define LATCHKEY_SERVICES_POLICY_H_

#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "core/token_scope.h"
#include "services/identity.h"

namespace latchkey {

// Matches an identity if every field that is set equals the identity's, byte
// for byte; a matcher with no field set matches nobody.
struct IdentityMatcher {
  std::optional<std::string> spiffe_id;
  std::optional<std::string> dns_name;  // any of the identity's
  std::optional<std::string> common_name;

  bool Matches(const Identity& identity) const;
};

struct PolicyRule {
  std::string name;
  // The rule is for whoever matches any of these.
  std::vector<IdentityMatcher> provisioners;
  // Patterns of core/node_name.h.
  std::vector<std::string> node_names;
  // Groups that may be asked for beside the broker's own.
  std::vector<std::string> groups;
  std::vector<Delivery> delivery = {Delivery::kTicket};
  absl::Duration max_token_lifetime = absl::Hours(1);
  // Set, every certificate bought must ask for a lifetime, at most this.
  std::optional<absl::Duration> max_certificate_lifetime;
  bool allow_node_replacement = false;
  // A ticket that a second key tries to claim, or a token that a stranger's CSR
  // uses, is revoked, not only refused.
  bool freeze_on_misuse = false;
};

// What is asked for, as the policy sees it. The scope is valid.
struct PolicyQuestion {
  TokenScope scope;
  Delivery delivery = Delivery::kTicket;
  std::optional<absl::Duration> lifetime;
};

// What is granted: the question with its defaults filled in.
struct PolicyGrant {
  std::string rule;
  TokenScope scope;
  absl::Duration lifetime;
};

// Immutable, safe for concurrent use.
class Policy {
 public:
  explicit Policy(std::vector<PolicyRule> rules) : rules_(std::move(rules)) {}

  // The grant of the first rule, in the order of the file, that is for
  // `identity` and allows all of `question`.
  //
  // POLICY_DENIED (kPermissionDenied) if there is none. Metadata "rule" and
  // "field" name the rule that came nearest (the one for this identity that
  // allowed most of the fields, tried in a fixed order) and what it lacked; no
  // such metadata if no rule is for this identity.
  absl::StatusOr<PolicyGrant> Decide(const Identity& identity,
                                     const PolicyQuestion& question) const;

  // True if the rule of that name freezes tokens on misuse.
  bool FreezesOnMisuse(std::string_view rule) const;

 private:
  std::vector<PolicyRule> rules_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_POLICY_H_
