#include "clients/ctl/policy_command.h"

#include <cstdio>

#include <CLI/CLI.hpp>
#include <absl/status/statusor.h>
#include <fmt/format.h>

#include "clients/files/read_file.h"
#include "core/config_reader.h"
#include "core/status_macros.h"
#include "policy/policy_file.h"

namespace latchkey {

const CLI::App* AddPolicyCommand(CLI::App& app, PolicyFlags& flags) {
  CLI::App* policy = app.add_subcommand("policy", "judge a policy");
  policy->require_subcommand(1);
  CLI::App* test = policy->add_subcommand(
      "test", "run the self-tests of a policy; calls nobody");
  test->footer(
      "A line for each test, then how many passed:\n"
      "  latchkeyctl policy test /etc/latchkey/broker.yaml\n"
      "Exit codes: 0 all passed, 2 one failed or the file is wrong.");
  test->add_option("FILE", flags.file,
                   "a broker.yaml, or its policy and policy_tests alone")
      ->required();
  return policy;
}

absl::Status RunPolicyTest(const PolicyFlags& flags) {
  const absl::StatusOr<std::string> text =
      ReadFileBounded(flags.file, ConfigDocument::kMaxBytes);
  if (!text.ok()) {
    return absl::InvalidArgumentError(std::string(text.status().message()));
  }
  LATCHKEY_ASSIGN_OR_RETURN(const PolicyFile file,
                            ParsePolicyFile(flags.file, *text, {}));
  const Policy policy(file.rules);
  size_t failed = 0;
  for (const PolicySelfTest& test : file.tests) {
    const std::string failure = FailureOf(test, policy);
    if (failure.empty()) {
      std::printf("ok    %s\n", test.name.c_str());
      continue;
    }
    ++failed;
    std::printf("FAIL  %s\n      %s: %s\n", test.name.c_str(),
                test.where.c_str(), failure.c_str());
  }
  const std::string summary =
      fmt::format("{} rules, {} self-tests, {} failed", file.rules.size(),
                  file.tests.size(), failed);
  std::printf("%s\n", summary.c_str());
  if (failed == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("{}: {}; such a policy is not used", flags.file, summary));
}

}  // namespace latchkey
