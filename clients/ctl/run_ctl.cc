#include "clients/ctl/run_ctl.h"

#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>
#include <absl/status/status.h>

#include "clients/ctl/audit_command.h"
#include "clients/ctl/ctl_config.h"
#include "clients/ctl/issue_command.h"
#include "clients/ctl/policy_command.h"
#include "clients/files/read_file.h"
#include "clients/process/process_hardening.h"
#include "core/config_reader.h"
#include "core/refusal.h"
#include "core/status_macros.h"
#include "core/version.h"

namespace latchkey {
namespace {

constexpr int kFailed = 1;
constexpr int kBadUsage = 2;
constexpr int kRefused = 3;

absl::StatusOr<CtlConfig> LoadConfig(const std::string& path) {
  LATCHKEY_ASSIGN_OR_RETURN(const std::string text,
                            ReadFileBounded(path, ConfigDocument::kMaxBytes));
  return ParseCtlConfig(path, text);
}

void AddIssueFlags(CLI::App& command, IssueFlags& flags) {
  command.footer(
      "The ticket is printed alone on standard output:\n"
      "  latchkeyctl issue --node worker-1 > ticket\n"
      "  latchkeyctl issue --node worker-1 --out /run/latchkey/ticket\n"
      "  latchkeyctl issue --node worker-1 --delivery direct --lifetime 20m\n"
      "Exit codes: 0 done, 1 failed (try again), 2 wrong arguments or "
      "configuration, 3 refused.");
  command.add_option("--node", flags.node_name, "the Node name of the machine")
      ->required();
  command
      .add_option("--delivery", flags.delivery,
                  "ticket (default): exchanged by latchkey-join; direct: "
                  "the bootstrap token itself")
      ->check(CLI::IsMember({"ticket", "direct"}));
  command.add_option("--lifetime", flags.lifetime,
                     "how long the machine has, such as 30m");
  command.add_option("--group", flags.groups,
                     "a further group of the token; may be repeated");
  command.add_option("--max-certificate-lifetime",
                     flags.max_certificate_lifetime,
                     "the longest certificate it may buy, such as 24h");
  command.add_option("--public-key-sha256", flags.public_key_sha256,
                     "the one key that may use it: SHA-256 of its "
                     "SubjectPublicKeyInfo in hexadecimal");
  command.add_flag("--allow-node-replacement", flags.allow_node_replacement,
                   "the machine may take the name of a Node that exists");
  command.add_option("--request-id", flags.request_id,
                     "makes repeating this command harmless; a UUID. Whoever "
                     "knows it and can read the token's Secret can make the "
                     "ticket, and others on this machine see it");
  command.add_flag("--validate-only", flags.validate_only,
                   "ask whether it would be allowed; mint nothing");
  command.add_option("-o,--output", flags.output, "text (default) or json")
      ->check(CLI::IsMember({"text", "json"}));
  command.add_option("--out", flags.out_file,
                     "write to this new file, mode 0600, instead");
  command.add_option("--timeout", flags.timeout,
                     "give up after this time (default 30s)");
}

int Report(const absl::Status& status) {
  if (status.ok()) return 0;
  const std::string reason = ReasonOf(status);
  const bool usage = reason.empty() && absl::IsInvalidArgument(status);
  const bool passing =
      absl::IsUnavailable(status) || absl::IsResourceExhausted(status) ||
      absl::IsDeadlineExceeded(status) || absl::IsInternal(status);
  std::fprintf(stderr, "latchkeyctl: %s\n",
               std::string(status.message()).c_str());
  if (!reason.empty()) {
    std::fprintf(stderr, "reason: %s (docs/errors.md says what to do)\n",
                 reason.c_str());
  } else if (passing) {
    std::fprintf(stderr,
                 "is the broker running, is the endpoint right, and do both "
                 "sides trust each other's certificate authority?\n");
  }
  if (usage) return kBadUsage;
  return passing ? kFailed : kRefused;
}

}  // namespace

int RunCtl(int argc, char** argv) {
  HardenProcess();
  CLI::App app("latchkeyctl: asks a Latchkey broker for tokens");
  app.require_subcommand(1);
  std::string config_path = DefaultCtlConfigPath();
  app.add_option(
      "--config", config_path,
      "which broker to call, and as whom (default " + config_path + ")");
  app.set_version_flag("--version", kVersion);
  IssueFlags issue_flags;
  CLI::App* issue =
      app.add_subcommand("issue", "mint one token for one machine");
  issue->fallthrough();
  AddIssueFlags(*issue, issue_flags);
  PolicyFlags policy_flags;
  const CLI::App* policy = AddPolicyCommand(app, policy_flags);
  AuditFlags audit_flags;
  const CLI::App* audit = AddAuditCommand(app, audit_flags);
  const CLI::App* version =
      app.add_subcommand("version", "print the version of this program");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadUsage;
  }
  if (version->parsed()) {
    std::printf("latchkeyctl %s\n", kVersion);
    return 0;
  }
  if (policy->parsed()) return Report(RunPolicyTest(policy_flags));
  if (audit->parsed()) return RunAuditVerify(audit_flags);
  const absl::StatusOr<CtlConfig> config = LoadConfig(config_path);
  if (!config.ok()) {
    std::fprintf(stderr, "latchkeyctl: %s\n",
                 std::string(config.status().message()).c_str());
    return kBadUsage;
  }
  return Report(RunIssue(*config, issue_flags));
}

}  // namespace latchkey
