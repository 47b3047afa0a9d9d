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

// Texts of limits go into a gRPC trailer, which has 8 KiB.
constexpr size_t kMaxLimitLength = 256;

std::string Listed(const std::vector<std::string>& texts) {
  std::string listed;
  for (size_t i = 0; i < texts.size(); ++i) {
    if (listed.size() + texts[i].size() > kMaxLimitLength) {
      return listed +
             fmt::format("{}{} more", i == 0 ? "" : ", and ", texts.size() - i);
    }
    listed += (i == 0 ? "" : ", ") + texts[i];
  }
  return listed;
}

// What is judged: a rule that is for the identity, and what that asks.
struct Case {
  const PolicyRule& rule;
  const Identity& identity;
  const PolicyQuestion& question;
};

bool AllowsNodeName(const Case& c) {
  const std::string& name = c.question.scope.node_name;
  if (std::any_of(c.rule.node_names.begin(), c.rule.node_names.end(),
                  [&](const std::string& pattern) {
                    return MatchesNodeNamePattern(pattern, name);
                  })) {
    return true;
  }
  return c.rule.node_name_from.has_value() &&
         c.rule.node_name_from->NameFor(c.identity) == name;
}

std::string NodeNameLimit(const Case& c) {
  std::vector<std::string> names = c.rule.node_names;
  if (c.rule.node_name_from.has_value()) {
    const auto own = c.rule.node_name_from->NameFor(c.identity);
    if (own.has_value()) names.push_back(*own);
  }
  return Listed(names);
}

bool AllowsGroups(const Case& c) {
  const std::vector<std::string>& groups = c.question.scope.groups;
  return std::all_of(
      groups.begin(), groups.end(),
      [&](const std::string& group) { return Contains(c.rule.groups, group); });
}

std::string GroupsLimit(const Case& c) { return Listed(c.rule.groups); }

bool AllowsDelivery(const Case& c) {
  return Contains(c.rule.delivery, c.question.delivery);
}

std::string DeliveryLimit(const Case& c) {
  std::vector<std::string> names;
  for (const Delivery delivery : c.rule.delivery) {
    names.emplace_back(DeliveryName(delivery));
  }
  return Listed(names);
}

bool AllowsLifetime(const Case& c) {
  return c.question.lifetime.value_or(absl::ZeroDuration()) <=
         c.rule.max_token_lifetime;
}

std::string LifetimeLimit(const Case& c) {
  return absl::FormatDuration(c.rule.max_token_lifetime);
}

bool AllowsCertificateLifetime(const Case& c) {
  return !c.rule.max_certificate_lifetime.has_value() ||
         c.question.scope.max_certificate_lifetime.value_or(
             absl::ZeroDuration()) <= *c.rule.max_certificate_lifetime;
}

std::string CertificateLifetimeLimit(const Case& c) {
  return absl::FormatDuration(
      c.rule.max_certificate_lifetime.value_or(absl::InfiniteDuration()));
}

bool AllowsReplacement(const Case& c) {
  return c.rule.allow_node_replacement ||
         !c.question.scope.allow_node_replacement;
}

std::string ReplacementLimit(const Case& /*c*/) { return ""; }

using RequiredLabel = std::pair<const std::string, std::vector<std::string>>;

// The first label that the rule requires and the question lacks, or sets to
// what it may not be; null if there is none.
const RequiredLabel* LackedLabel(const Case& c) {
  for (const RequiredLabel& required : c.rule.required_labels) {
    const auto set = c.question.labels.find(required.first);
    if (set == c.question.labels.end()) return &required;
    if (!required.second.empty() && !Contains(required.second, set->second)) {
      return &required;
    }
  }
  return nullptr;
}

bool HasRequiredLabels(const Case& c) { return LackedLabel(c) == nullptr; }

std::string LabelsLimit(const Case& c) {
  const RequiredLabel* lacked = LackedLabel(c);
  if (lacked == nullptr) return "";
  return fmt::format(
      "{}={}", lacked->first,
      lacked->second.empty() ? "any value" : Listed(lacked->second));
}

bool IsFor(const PolicyRule& rule, const Identity& identity) {
  return std::any_of(rule.provisioners.begin(), rule.provisioners.end(),
                     [&](const IdentityMatcher& matcher) {
                       return matcher.Matches(identity);
                     });
}

struct FieldCheck {
  const char* field;
  bool (*allows)(const Case&);
  // What would be allowed; empty: nothing.
  std::string (*limit)(const Case&);
};

// What a stranger to a rule lacks first comes first: the name says most.
constexpr std::array<FieldCheck, 7> kChecks = {{
    {"scope.node_name", AllowsNodeName, NodeNameLimit},
    {"delivery", AllowsDelivery, DeliveryLimit},
    {"scope.groups", AllowsGroups, GroupsLimit},
    {"lifetime", AllowsLifetime, LifetimeLimit},
    {"scope.max_certificate_lifetime", AllowsCertificateLifetime,
     CertificateLifetimeLimit},
    {"scope.allow_node_replacement", AllowsReplacement, ReplacementLimit},
    {"labels", HasRequiredLabels, LabelsLimit},
}};

// How many of the checks hold before the first that does not.
size_t Passed(const Case& c) {
  size_t passed = 0;
  while (passed < kChecks.size() && kChecks[passed].allows(c)) ++passed;
  return passed;
}

PolicyGrant GrantOf(const PolicyRule& rule, const PolicyQuestion& question) {
  PolicyGrant grant{.rule = rule.name,
                    .scope = question.scope,
                    .lifetime = question.lifetime.value_or(
                        std::min(rule.max_token_lifetime, absl::Hours(1))),
                    .max_outstanding = rule.max_outstanding,
                    .mode = rule.mode,
                    .observed = {}};
  if (!grant.scope.max_certificate_lifetime.has_value()) {
    grant.scope.max_certificate_lifetime = rule.max_certificate_lifetime;
  }
  return grant;
}

absl::Status Denied(const Case& c, size_t passed) {
  const FieldCheck& check = kChecks[passed];
  const std::string limit = check.limit(c);
  RefusalMetadata metadata = {{"rule", c.rule.name}, {"field", check.field}};
  if (!limit.empty()) metadata.emplace("limit", limit);
  return Refuse(
      absl::StatusCode::kPermissionDenied, reason::kPolicyDenied,
      fmt::format("policy rule '{}' does not allow this {}{}{}", c.rule.name,
                  check.field, limit.empty() ? "" : "; it allows ", limit),
      metadata);
}

// The rule that allows most of the fields, of those looked at.
struct Nearest {
  const PolicyRule* rule = nullptr;
  size_t passed = 0;

  void Consider(const PolicyRule& other, size_t other_passed) {
    if (rule != nullptr && other_passed <= passed) return;
    rule = &other;
    passed = other_passed;
  }
};

}  // namespace

std::optional<std::string> NodeNameFrom::NameFor(
    const Identity& identity) const {
  const std::vector<std::string>& values = identity.Values(attribute);
  if (values.size() != 1) return std::nullopt;
  const std::string& value = values.front();
  const bool whole = prefix.empty() && suffix.empty();
  if (!whole && value.find('.') != std::string::npos) return std::nullopt;
  std::string name = prefix + value + suffix;
  if (!ValidateNodeName(name).ok()) return std::nullopt;
  return name;
}

absl::StatusOr<PolicyGrant> Policy::Decide(
    const Identity& identity, const PolicyQuestion& question) const {
  Nearest nearest;
  Nearest observing;
  for (const uint32_t place : index_.CandidatesFor(identity)) {
    const PolicyRule& rule = rules_[place];
    if (!IsFor(rule, identity)) continue;
    const size_t passed = Passed({rule, identity, question});
    if (passed == kChecks.size()) return GrantOf(rule, question);
    nearest.Consider(rule, passed);
    if (rule.mode == PolicyMode::kObserve) observing.Consider(rule, passed);
  }
  if (nearest.rule == nullptr) {
    return Refuse(absl::StatusCode::kPermissionDenied, reason::kPolicyDenied,
                  fmt::format("no policy rule is for {}", identity.name));
  }
  absl::Status denied =
      Denied({*nearest.rule, identity, question}, nearest.passed);
  if (observing.rule == nullptr) return denied;
  PolicyGrant grant = GrantOf(*observing.rule, question);
  grant.max_outstanding.reset();
  grant.observed = std::move(denied);
  return grant;
}

Reach Policy::ReachOf(const Identity& identity) const {
  Reach reach = Reach::kNone;
  for (const uint32_t place : index_.CandidatesFor(identity)) {
    const PolicyRule& rule = rules_[place];
    if (IsFor(rule, identity)) reach = std::max(reach, rule.manage);
  }
  return reach;
}

std::optional<PolicyRate> Policy::RateOf(const Identity& identity) const {
  std::optional<PolicyRate> widest;
  for (const uint32_t place : index_.CandidatesFor(identity)) {
    const PolicyRule& rule = rules_[place];
    if (!IsFor(rule, identity)) continue;
    if (!rule.rate.has_value()) return std::nullopt;
    if (!widest.has_value()) widest = PolicyRate{.limit = *rule.rate};
    RateLimit& limit = widest->limit;
    limit.per_minute = std::max(limit.per_minute, rule.rate->per_minute);
    limit.burst = std::max(limit.burst, rule.rate->burst);
    if (rule.mode == PolicyMode::kObserve) widest->mode = rule.mode;
  }
  return widest;
}

const PolicyRule* Policy::Named(std::string_view rule) const {
  const auto it =
      std::find_if(rules_.begin(), rules_.end(),
                   [&](const PolicyRule& one) { return one.name == rule; });
  return it == rules_.end() ? nullptr : &*it;
}

std::optional<PolicyLifetime> Policy::LifetimeUnder(
    std::string_view rule) const {
  const PolicyRule* found = Named(rule);
  if (found == nullptr) return std::nullopt;
  return PolicyLifetime{.most = found->max_token_lifetime, .mode = found->mode};
}

bool Policy::FreezesOnMisuse(std::string_view rule) const {
  const PolicyRule* found = Named(rule);
  return found != nullptr && found->freeze_on_misuse;
}

}  // namespace latchkey
