#include "clients/ctl/policy_command.h"

#include <memory>
#include <ostream>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>
#include <absl/status/statusor.h>
#include <fmt/format.h>

#include "clients/ctl/arguments.h"
#include "clients/ctl/cures.h"
#include "clients/ctl/data_tree.h"
#include "clients/ctl/output_flag.h"
#include "clients/ctl/visible_text.h"
#include "clients/files/read_file.h"
#include "core/config_reader.h"
#include "core/status_macros.h"
#include "policy/policy_file.h"

namespace latchkey {
namespace {

struct PolicyFlags {
  std::string path;
  std::string output = "text";
};

// How the tests of a policy went.
class TestReport {
 public:
  void Add(const PolicySelfTest& test, const std::string& failure) {
    DataFields fields = {
        {"name", test.name}, {"where", test.where}, {"ok", failure.empty()}};
    if (failure.empty()) {
      text_ += fmt::format("ok    {}\n", test.name);
    } else {
      ++failed_;
      text_ += fmt::format("FAIL  {}\n      {}: {}\n", test.name, test.where,
                           failure);
      fields.emplace_back("failure", failure);
    }
    tests_.emplace_back(std::move(fields));
  }
  size_t failed() const { return failed_; }
  std::string Summary(size_t rules) const {
    return fmt::format("{} rules, {} self-tests, {} failed", rules,
                       tests_.size(), failed_);
  }
  std::string Text(size_t rules, const std::string& output) const {
    if (output == "text") return text_ + Summary(rules) + "\n";
    return ToText(
        DataFields{{"rules", rules}, {"failed", failed_}, {"tests", tests_}},
        output);
  }

 private:
  size_t failed_ = 0;
  std::string text_;
  DataList tests_;
};

// Runs the tests of the policy, and says how each went.
absl::Status RunTests(const PolicyFlags& flags, std::ostream& out,
                      std::ostream& err) {
  const absl::StatusOr<std::string> text =
      ReadFileBounded(flags.path, ConfigDocument::kMaxBytes);
  if (!text.ok()) {
    return absl::InvalidArgumentError(std::string(text.status().message()));
  }
  absl::StatusOr<PolicyFile> parsed = ParsePolicyFile(flags.path, *text, {});
  if (!parsed.ok()) {
    return WithCure(parsed.status(),
                    "mend the file; docs/policy.md has all that it can say");
  }
  const PolicyFile file = *std::move(parsed);
  if (file.tests.empty()) {
    err << fmt::format(
        "warning: {} has no policy_tests, so nothing was tested\n",
        Visible(flags.path));
  }
  const Policy policy(file.rules);
  TestReport report;
  for (const PolicySelfTest& test : file.tests) {
    report.Add(test, FailureOf(test, policy));
  }
  out << report.Text(file.rules.size(), flags.output);
  if (report.failed() == 0) return absl::OkStatus();
  return WithCure(absl::InvalidArgumentError(fmt::format(
                      "{}: {}; such a policy is not used", flags.path,
                      report.Summary(file.rules.size()))),
                  "correct the rules, or what the self-tests expect of them: "
                  "docs/policy.md explains both");
}

}  // namespace

void AddPolicyCommand(CLI::App& app, CommandContext& context) {
  const auto flags = std::make_shared<PolicyFlags>();
  CLI::App* policy = app.add_subcommand("policy", "judge a policy");
  policy->require_subcommand(1);
  policy->footer("Example:\n  latchkeyctl policy test broker.yaml");
  CLI::App* test = policy->add_subcommand(
      "test", "run the self-tests of a policy; calls nobody");
  test->footer(
      "A line for each test, then how many passed:\n"
      "  latchkeyctl policy test /etc/latchkey/broker.yaml\n"
      "Output:\n"
      "  latchkeyctl policy test broker.yaml -o json | jq .failed\n"
      "Exit codes: 0 all passed, 2 one failed or the file is wrong.");
  AsPath(
      test->add_option("FILE", flags->path,
                       "a broker.yaml, or its policy and policy_tests alone"))
      ->required();
  AddTextOutputFlag(*test, flags->output);
  test->callback([&context, flags] {
    context.run = [&context, flags]() -> absl::StatusOr<int> {
      LATCHKEY_RETURN_IF_ERROR(RunTests(*flags, context.out, context.err));
      return kDone;
    };
  });
}

}  // namespace latchkey
