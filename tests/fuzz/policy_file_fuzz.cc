// Any bytes as a policy: it is refused, or it keeps what every policy promises.

#include <string>
#include <string_view>

#include "core/node_name.h"
#include "policy/policy_file.h"
#include "tests/fuzz/insist.h"

namespace {

using latchkey::Identity;
using latchkey::Policy;
using latchkey::PolicyFile;
using latchkey::PolicySelfTest;
using latchkey_testing::Insist;

// Nobody is whoever has no attribute, whatever the rules are.
void CheckNobody(const Policy& policy) {
  const Identity nobody = {.name = "nobody"};
  Insist(!policy.Decide(nobody, {.scope = {.node_name = "worker-1"}}).ok());
  Insist(policy.ReachOf(nobody) == latchkey::Reach::kNone);
}

// Whoever is granted something is so by a rule that is for it, and for a name
// that the rule allows, unless that only observes.
void CheckTest(const PolicySelfTest& test, const PolicyFile& file,
               const Policy& policy) {
  const auto grant = policy.Decide(test.identity, test.question);
  if (!grant.ok()) return;
  bool explained = false;
  for (const latchkey::PolicyRule& rule : file.rules) {
    if (rule.name != grant->rule) continue;
    for (const auto& one : rule.provisioners) {
      explained = explained || one.Matches(test.identity);
    }
    if (!grant->observed.ok()) {
      Insist(rule.mode == latchkey::PolicyMode::kObserve);
      continue;
    }
    bool named = rule.node_name_from.has_value() &&
                 rule.node_name_from->NameFor(test.identity) ==
                     test.question.scope.node_name;
    for (const std::string& pattern : rule.node_names) {
      named = named || latchkey::MatchesNodeNamePattern(
                           pattern, test.question.scope.node_name);
    }
    Insist(named);
  }
  Insist(explained);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = latchkey_testing::AsText(data, size);
  const auto file = latchkey::ParsePolicyFile("policy.yaml", text, {});
  if (!file.ok()) {
    Insist(absl::IsInvalidArgument(file.status()));
    return 0;
  }
  const Policy policy(file->rules);
  CheckNobody(policy);
  for (const PolicySelfTest& test : file->tests) {
    CheckTest(test, *file, policy);
    static_cast<void>(latchkey::FailureOf(test, policy));
  }
  return 0;
}
