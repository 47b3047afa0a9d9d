#include "clients/ctl/policy_command.h"

#include <memory>
#include <ostream>
#include <string>

#include <CLI/CLI.hpp>
#include <absl/status/statusor.h>
#include <fmt/format.h>

#include "clients/ctl/cures.h"
#include "clients/files/read_file.h"
#include "core/config_reader.h"
#include "core/status_macros.h"
#include "policy/policy_file.h"

namespace latchkey {
namespace {

// Runs the tests of the policy in `path`, and says how each went.
absl::Status RunTests(const std::string& path, std::ostream& out) {
  const absl::StatusOr<std::string> text =
      ReadFileBounded(path, ConfigDocument::kMaxBytes);
  if (!text.ok()) {
    return absl::InvalidArgumentError(std::string(text.status().message()));
  }
  LATCHKEY_ASSIGN_OR_RETURN(const PolicyFile file,
                            ParsePolicyFile(path, *text, {}));
  const Policy policy(file.rules);
  size_t failed = 0;
  for (const PolicySelfTest& test : file.tests) {
    const std::string failure = FailureOf(test, policy);
    if (failure.empty()) {
      out << fmt::format("ok    {}\n", test.name);
      continue;
    }
    ++failed;
    out << fmt::format("FAIL  {}\n      {}: {}\n", test.name, test.where,
                       failure);
  }
  const std::string summary =
      fmt::format("{} rules, {} self-tests, {} failed", file.rules.size(),
                  file.tests.size(), failed);
  out << summary << "\n";
  if (failed == 0) return absl::OkStatus();
  return WithCure(absl::InvalidArgumentError(fmt::format(
                      "{}: {}; such a policy is not used", path, summary)),
                  "correct the rules, or what the self-tests expect of them: "
                  "docs/policy.md explains both");
}

}  // namespace

void AddPolicyCommand(CLI::App& app, CommandContext& context) {
  const auto path = std::make_shared<std::string>();
  CLI::App* policy = app.add_subcommand("policy", "judge a policy");
  policy->require_subcommand(1);
  CLI::App* test = policy->add_subcommand(
      "test", "run the self-tests of a policy; calls nobody");
  test->footer(
      "A line for each test, then how many passed:\n"
      "  latchkeyctl policy test /etc/latchkey/broker.yaml\n"
      "Exit codes: 0 all passed, 2 one failed or the file is wrong.");
  test->add_option("FILE", *path,
                   "a broker.yaml, or its policy and policy_tests alone")
      ->required();
  test->callback([&context, path] {
    context.run = [&context, path]() -> absl::StatusOr<int> {
      LATCHKEY_RETURN_IF_ERROR(RunTests(*path, context.out));
      return kDone;
    };
  });
}

}  // namespace latchkey
