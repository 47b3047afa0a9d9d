// The policy as it stands in a file: `policy` and `policy_tests` of
// broker.yaml, or of a file that has nothing else. docs/policy.md has the
// grammar.

#ifndef LATCHKEY_POLICY_POLICY_FILE_H_
#define LATCHKEY_POLICY_POLICY_FILE_H_

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "core/config_reader.h"
#include "policy/policy.h"
#include "policy/policy_self_test.h"

namespace latchkey {

struct PolicyFile {
  std::vector<PolicyRule> rules;
  std::vector<PolicySelfTest> tests;
};

struct PolicyFileOptions {
  // The attributes that the configured JWT issuers map claims to: a matcher for
  // any other name that no kind of identity has is then a mistake. Absent: not
  // known here, and any well-formed name will do.
  std::optional<std::set<std::string, std::less<>>> mapped_attributes;
  // The URLs of the configured JWT issuers, each beside its name in the
  // configuration. An `issuer` of a matcher or of a self-test's identity that
  // is none of them is then a mistake: it would be nobody's. Absent: not known
  // here, and any will do.
  std::optional<std::map<std::string, std::string, std::less<>>> jwt_issuers;
};

// Reads both fields of `root` and notes every mistake in its document. The
// tests are not run: a policy with mistakes would fail them for no reason.
PolicyFile ReadPolicyFile(const ConfigReader& root,
                          const PolicyFileOptions& options);

// What broker.yaml has beside those two, which others read.
inline constexpr std::array<std::string_view, 10> kBrokerSections = {
    "cluster", "provisioner_api", "node_api", "authentication", "tokens",
    "limits",  "audit",           "metrics",  "reflection",     "log"};

// Both fields of a whole file. What else a broker.yaml has is not judged, but
// for `authentication`: a file with any of kBrokerSections is a whole one, and
// knows those issuers and attributes that stand there, unless `options` says
// which. kInvalidArgument with every mistake, a line each, such as a field that
// no broker.yaml has. The tests are not run.
absl::StatusOr<PolicyFile> ParsePolicyFile(std::string_view name,
                                           std::string_view text,
                                           const PolicyFileOptions& options);

}  // namespace latchkey

#endif  // LATCHKEY_POLICY_POLICY_FILE_H_
