// Which provisioner may mint what. Deny by default; data, never code.

#ifndef LATCHKEY_POLICY_POLICY_H_
#define LATCHKEY_POLICY_POLICY_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "core/token_labels.h"
#include "core/token_scope.h"
#include "policy/identity.h"

namespace latchkey {

// Matches an identity if each attribute named here has a value that the matcher
// beside it equals, byte for byte; with no attribute, nobody.
struct IdentityMatcher {
  std::map<std::string, std::string, std::less<>> attributes;

  bool Matches(const Identity& identity) const;
};

// Which tokens an identity may read, revoke, extend and watch.
enum class Reach {
  kNone,  // no rule is for it: it may do nothing at all
  kOwn,
  kAll,
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
  // Whose tokens its provisioners may manage: kOwn or kAll.
  Reach manage = Reach::kOwn;
  // Tokens of one provisioner that may be unused (ISSUED, ACTIVE, RESERVED) at
  // once; absent: any number.
  std::optional<int64_t> max_outstanding;
  // Labels that a request must set.
  std::vector<std::string> required_labels;
};

// What is asked for, as the policy sees it. The scope is valid.
struct PolicyQuestion {
  TokenScope scope;
  Delivery delivery = Delivery::kTicket;
  std::optional<absl::Duration> lifetime;
  TokenLabels labels;
};

// What is granted: the question with its defaults filled in.
struct PolicyGrant {
  std::string rule;
  TokenScope scope;
  absl::Duration lifetime;
  std::optional<int64_t> max_outstanding;
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

  // The widest of the rules that are for `identity`.
  Reach ReachOf(const Identity& identity) const;

  // How long after its creation a token may at most be valid, by the rule of
  // that name, which it was issued under; absent if there is no such rule any
  // more.
  std::optional<absl::Duration> MaxTokenLifetime(std::string_view rule) const;

  // True if the rule of that name freezes tokens on misuse.
  bool FreezesOnMisuse(std::string_view rule) const;

 private:
  std::vector<PolicyRule> rules_;
};

}  // namespace latchkey

#endif  // LATCHKEY_POLICY_POLICY_H_
