#include "policy/policy.h"

#include <algorithm>
#include <array>
#include <utility>

#include <absl/status/status.h>
#include <fmt/format.h>

#include "core/node_name.h"
#include "core/reasons.h"
#include "core/refusal.h"

namespace latchkey {
namespace {

template <typename T>
bool Contains(const std::vector<T>& all, const T& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

bool AllowsNodeName(const PolicyRule& rule, const PolicyQuestion& question) {
  return std::any_of(rule.node_names.begin(), rule.node_names.end(),
                     [&](const std::string& pattern) {
                       return MatchesNodeNamePattern(pattern,
                                                     question.scope.node_name);
                     });
}

bool AllowsGroups(const PolicyRule& rule, const PolicyQuestion& question) {
  return std::all_of(
      question.scope.groups.begin(), question.scope.groups.end(),
      [&](const std::string& group) { return Contains(rule.groups, group); });
}

bool AllowsDelivery(const PolicyRule& rule, const PolicyQuestion& question) {
  return Contains(rule.delivery, question.delivery);
}

bool AllowsLifetime(const PolicyRule& rule, const PolicyQuestion& question) {
  return question.lifetime.value_or(absl::ZeroDuration()) <=
         rule.max_token_lifetime;
}

bool AllowsCertificateLifetime(const PolicyRule& rule,
                               const PolicyQuestion& question) {
  return !rule.max_certificate_lifetime.has_value() ||
         question.scope.max_certificate_lifetime.value_or(
             absl::ZeroDuration()) <= *rule.max_certificate_lifetime;
}

bool AllowsReplacement(const PolicyRule& rule, const PolicyQuestion& question) {
  return rule.allow_node_replacement || !question.scope.allow_node_replacement;
}

bool HasRequiredLabels(const PolicyRule& rule, const PolicyQuestion& question) {
  return std::all_of(
      rule.required_labels.begin(), rule.required_labels.end(),
      [&](const std::string& key) { return question.labels.contains(key); });
}

bool IsFor(const PolicyRule& rule, const Identity& identity) {
  return std::any_of(rule.provisioners.begin(), rule.provisioners.end(),
                     [&](const IdentityMatcher& matcher) {
                       return matcher.Matches(identity);
                     });
}

struct FieldCheck {
  const char* field;
  bool (*allows)(const PolicyRule&, const PolicyQuestion&);
};

// What a stranger to a rule lacks first comes first: the name says most.
constexpr std::array<FieldCheck, 7> kChecks = {{
    {"scope.node_name", AllowsNodeName},
    {"delivery", AllowsDelivery},
    {"scope.groups", AllowsGroups},
    {"lifetime", AllowsLifetime},
    {"scope.max_certificate_lifetime", AllowsCertificateLifetime},
    {"scope.allow_node_replacement", AllowsReplacement},
    {"labels", HasRequiredLabels},
}};

PolicyGrant GrantOf(const PolicyRule& rule, const PolicyQuestion& question) {
  PolicyGrant grant{.rule = rule.name,
                    .scope = question.scope,
                    .lifetime = question.lifetime.value_or(
                        std::min(rule.max_token_lifetime, absl::Hours(1))),
                    .max_outstanding = rule.max_outstanding};
  if (!grant.scope.max_certificate_lifetime.has_value()) {
    grant.scope.max_certificate_lifetime = rule.max_certificate_lifetime;
  }
  return grant;
}

}  // namespace

bool IdentityMatcher::Matches(const Identity& identity) const {
  return !attributes.empty() &&
         std::all_of(
             attributes.begin(), attributes.end(), [&](const auto& wanted) {
               return Contains(identity.Values(wanted.first), wanted.second);
             });
}

absl::StatusOr<PolicyGrant> Policy::Decide(
    const Identity& identity, const PolicyQuestion& question) const {
  const PolicyRule* nearest = nullptr;
  size_t nearest_passed = 0;
  for (const PolicyRule& rule : rules_) {
    if (!IsFor(rule, identity)) continue;
    size_t passed = 0;
    while (passed < kChecks.size() && kChecks[passed].allows(rule, question)) {
      ++passed;
    }
    if (passed == kChecks.size()) return GrantOf(rule, question);
    if (nearest == nullptr || passed > nearest_passed) {
      nearest = &rule;
      nearest_passed = passed;
    }
  }
  if (nearest == nullptr) {
    return Refuse(absl::StatusCode::kPermissionDenied, reason::kPolicyDenied,
                  fmt::format("no policy rule is for {}", identity.name));
  }
  const char* field = kChecks[nearest_passed].field;
  return Refuse(absl::StatusCode::kPermissionDenied, reason::kPolicyDenied,
                fmt::format("policy rule '{}' does not allow this {}",
                            nearest->name, field),
                {{"rule", nearest->name}, {"field", field}});
}

Reach Policy::ReachOf(const Identity& identity) const {
  Reach reach = Reach::kNone;
  for (const PolicyRule& rule : rules_) {
    if (IsFor(rule, identity)) reach = std::max(reach, rule.manage);
  }
  return reach;
}

std::optional<absl::Duration> Policy::MaxTokenLifetime(
    std::string_view rule) const {
  for (const PolicyRule& one : rules_) {
    if (one.name == rule) return one.max_token_lifetime;
  }
  return std::nullopt;
}

bool Policy::FreezesOnMisuse(std::string_view rule) const {
  return std::any_of(rules_.begin(), rules_.end(), [&](const PolicyRule& one) {
    return one.name == rule && one.freeze_on_misuse;
  });
}

}  // namespace latchkey
