// Self-tests: what a policy says of itself, beside its rules in the file. A
// policy that fails one is not used.

#ifndef LATCHKEY_POLICY_POLICY_SELF_TEST_H_
#define LATCHKEY_POLICY_POLICY_SELF_TEST_H_

#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "policy/policy.h"

namespace latchkey {

struct PolicySelfTest {
  enum class Expect { kAllow, kDeny };

  std::string name;
  // File, line and path, as ConfigReader::Where() says it.
  std::string where;
  Identity identity;
  PolicyQuestion question;
  Expect expect = Expect::kDeny;
  // The rule that must decide, and what of the question must be denied, as in
  // the metadata of the refusal; absent: whichever.
  std::optional<std::string> rule;
  std::optional<std::string> field;
};

// Empty if `test` passes, else what was expected and what came. Judged as if
// every rule were enforced, so that a rule may observe first and enforce later
// under the same tests. A question that no policy may allow, such as one for a
// malformed node name, is denied with the field that is malformed.
std::string FailureOf(const PolicySelfTest& test, const Policy& policy);

// kInvalidArgument with each test that fails, a line each.
absl::Status RunPolicySelfTests(const std::vector<PolicySelfTest>& tests,
                                const Policy& policy);

}  // namespace latchkey

#endif  // LATCHKEY_POLICY_POLICY_SELF_TEST_H_
