#include "policy/policy_self_test.h"

#include <string_view>

#include <fmt/format.h>

#include "core/refusal.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

// What came of a question, in the words of a self-test.
struct Verdict {
  PolicySelfTest::Expect came = PolicySelfTest::Expect::kDeny;
  std::string rule;
  std::string field;
  std::string limit;
};

absl::StatusOr<PolicyGrant> Ask(const PolicySelfTest& test,
                                const Policy& policy) {
  LATCHKEY_RETURN_IF_ERROR(ValidateScope(test.question.scope));
  LATCHKEY_RETURN_IF_ERROR(ValidateLabels(test.question.labels));
  return policy.Decide(test.identity, test.question);
}

Verdict VerdictOf(const absl::StatusOr<PolicyGrant>& grant) {
  if (grant.ok() && grant->observed.ok()) {
    return {.came = PolicySelfTest::Expect::kAllow, .rule = grant->rule};
  }
  const RefusalMetadata metadata =
      MetadataOf(grant.ok() ? grant->observed : grant.status());
  const auto get = [&metadata](const char* key) {
    const auto it = metadata.find(key);
    return it == metadata.end() ? "" : it->second;
  };
  return {.came = PolicySelfTest::Expect::kDeny,
          .rule = get("rule"),
          .field = get("field"),
          .limit = get("limit")};
}

std::string_view Word(PolicySelfTest::Expect expect) {
  return expect == PolicySelfTest::Expect::kAllow ? "allow" : "deny";
}

std::string Described(PolicySelfTest::Expect verdict, std::string_view rule,
                      std::string_view field) {
  std::string text(Word(verdict));
  if (!rule.empty()) text += fmt::format(" by rule '{}'", rule);
  if (!field.empty()) text += fmt::format(" for {}", field);
  return text;
}

std::string DescribeVerdict(const Verdict& verdict) {
  std::string text = Described(verdict.came, verdict.rule, verdict.field);
  if (!verdict.limit.empty()) {
    text += fmt::format(" (it allows {})", verdict.limit);
  }
  const bool nobody = verdict.came == PolicySelfTest::Expect::kDeny &&
                      verdict.rule.empty() && verdict.field.empty();
  return nobody ? "deny, since no rule is for this identity" : text;
}

}  // namespace

std::string FailureOf(const PolicySelfTest& test, const Policy& policy) {
  const Verdict verdict = VerdictOf(Ask(test, policy));
  if (verdict.came == test.expect &&
      test.rule.value_or(verdict.rule) == verdict.rule &&
      test.field.value_or(verdict.field) == verdict.field) {
    return "";
  }
  return fmt::format(
      "expected {}, came {}",
      Described(test.expect, test.rule.value_or(""), test.field.value_or("")),
      DescribeVerdict(verdict));
}

absl::Status RunPolicySelfTests(const std::vector<PolicySelfTest>& tests,
                                const Policy& policy) {
  std::string failures;
  for (const PolicySelfTest& test : tests) {
    const std::string failure = FailureOf(test, policy);
    if (failure.empty()) continue;
    failures +=
        fmt::format("{}{}: self-test '{}': {}", failures.empty() ? "" : "\n",
                    test.where, test.name, failure);
  }
  return failures.empty() ? absl::OkStatus()
                          : absl::InvalidArgumentError(failures);
}

}  // namespace latchkey
