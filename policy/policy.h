// Which provisioner may mint what. Deny by default; data, never code.

#ifndef LATCHKEY_POLICY_POLICY_H_
#define LATCHKEY_POLICY_POLICY_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "core/token_labels.h"
#include "core/token_scope.h"
#include "policy/identity.h"
#include "policy/identity_matcher.h"
#include "policy/rule_index.h"

namespace latchkey {

// Which tokens an identity may read, revoke, extend and watch.
enum class Reach {
  kNone,  // no rule is for it: it may do nothing at all
  kOwn,
  kAll,
};

enum class PolicyMode {
  kEnforce,
  // What the rule does not allow to those that it is for is granted all the
  // same, and told beside the grant. Nothing changes for anybody else.
  kObserve,
};

// The one node name that a machine with an identity of its own may ask for:
// `prefix`, the value of `attribute`, `suffix`. There is none if the attribute
// has no value or several, if that makes no valid node name, or if the value
// has a dot and there is a prefix or a suffix: it must not lead out of the
// domain that the rule spells.
struct NodeNameFrom {
  std::string attribute;
  std::string prefix;
  std::string suffix;

  std::optional<std::string> NameFor(const Identity& identity) const;
};

// A token bucket of `burst` requests that fills at `per_minute`.
struct RateLimit {
  int64_t per_minute = 0;
  int64_t burst = 0;

  bool operator==(const RateLimit&) const = default;
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
  // Labels that a request must set, each with the values that it may have;
  // none: any.
  std::map<std::string, std::vector<std::string>> required_labels;
  // Set, the rule allows this node name too.
  std::optional<NodeNameFrom> node_name_from;
  // Requests of one provisioner; absent: any number.
  std::optional<RateLimit> rate;
  PolicyMode mode = PolicyMode::kEnforce;
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
  // Of the rule. There is none beside `observed`: what would be denied takes no
  // place.
  std::optional<int64_t> max_outstanding;
  // kObserve: to mint beyond max_outstanding is to be told, not refused.
  PolicyMode mode = PolicyMode::kEnforce;
  // Not OK: an observing rule grants what would be denied if every rule were
  // enforced, and this is the refusal that it would be. To be logged and
  // counted.
  absl::Status observed;
};

// How often an identity may ask.
struct PolicyRate {
  RateLimit limit;
  // kObserve: to ask more often is to be told, not refused.
  PolicyMode mode = PolicyMode::kEnforce;

  bool operator==(const PolicyRate&) const = default;
};

// How long after its creation a token may at most be valid.
struct PolicyLifetime {
  absl::Duration most;
  // kObserve: a longer one, up to kMaxTokenLifetime, is to be told, not
  // refused.
  PolicyMode mode = PolicyMode::kEnforce;

  bool operator==(const PolicyLifetime&) const = default;
};

// Immutable, safe for concurrent use.
class Policy {
 public:
  explicit Policy(std::vector<PolicyRule> rules)
      : rules_(std::move(rules)), index_(rules_) {}

  // The grant of the first rule, in the order of the file, that is for
  // `identity` and allows all of `question`. If there is none, that of the
  // observing rule for this identity that came nearest: all that was asked for,
  // with the rule's defaults filled in, and `observed`.
  //
  // POLICY_DENIED (kPermissionDenied) if there is none either. Metadata "rule",
  // "field" and "limit" name the rule that came nearest (the one for this
  // identity that allowed most of the fields, tried in a fixed order), what of
  // the question it does not allow, and what it would allow; no "limit" if it
  // allows none, and no metadata at all if no rule is for this identity.
  absl::StatusOr<PolicyGrant> Decide(const Identity& identity,
                                     const PolicyQuestion& question) const;

  // The widest of the rules that are for `identity`.
  Reach ReachOf(const Identity& identity) const;

  // How often `identity` may ask, whatever it asks for: the widest of the rules
  // that are for it, observed if one of those observes. Absent if one of those
  // sets no rate, and for whom no rule is.
  std::optional<PolicyRate> RateOf(const Identity& identity) const;

  // By the rule of that name, which the token was issued under; absent if there
  // is no such rule any more.
  std::optional<PolicyLifetime> LifetimeUnder(std::string_view rule) const;

  // True if the rule of that name freezes tokens on misuse.
  bool FreezesOnMisuse(std::string_view rule) const;

 private:
  const PolicyRule* Named(std::string_view rule) const;

  std::vector<PolicyRule> rules_;
  RuleIndex index_;
};

}  // namespace latchkey

#endif  // LATCHKEY_POLICY_POLICY_H_
