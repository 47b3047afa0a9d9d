#include "clients/ctl/run_ctl.h"

#include <poll.h>
#include <unistd.h>

#include <iostream>

#include <CLI/CLI.hpp>
#include <absl/status/status.h>
#include <fmt/format.h>

#include "clients/ctl/arguments.h"
#include "clients/ctl/audit_command.h"
#include "clients/ctl/batch_command.h"
#include "clients/ctl/completion_command.h"
#include "clients/ctl/cures.h"
#include "clients/ctl/doctor_command.h"
#include "clients/ctl/explain_command.h"
#include "clients/ctl/extend_command.h"
#include "clients/ctl/get_command.h"
#include "clients/ctl/grpc_broker_api.h"
#include "clients/ctl/issue_command.h"
#include "clients/ctl/list_command.h"
#include "clients/ctl/policy_command.h"
#include "clients/ctl/revoke_command.h"
#include "clients/ctl/version_command.h"
#include "clients/ctl/visible_text.h"
#include "clients/ctl/watch_command.h"
#include "clients/process/process_hardening.h"
#include "core/version.h"

namespace latchkey {
namespace {

constexpr char kFooter[] =
    "Examples:\n"
    "  latchkeyctl issue --node worker-1 --out ticket\n"
    "  latchkeyctl list --state issued\n"
    "Which broker:\n"
    "  latchkeyctl --context staging watch\n"
    "  latchkeyctl --config ./latchkeyctl.yaml list\n"
    "How long:\n"
    "  latchkeyctl issue --node worker-1 --timeout 5m\n"
    "Options:\n"
    "  latchkeyctl --version\n"
    "latchkeyctl COMMAND --help has one for each group of flags.\n"
    "\n"
    "Exit codes:\n"
    "  0  done\n"
    "  1  failed, and may succeed later\n"
    "  2  the arguments or the configuration are wrong\n"
    "  3  the broker refused\n"
    "  4  some of several were done; run it again for the others\n"
    "  5  memory is out";

// CLI11 shows a command's own flags only.
constexpr char kSharedFooter[] =
    "\nLike all that ask a broker it takes --config FILE, --context NAME and "
    "--timeout\nTIME: latchkeyctl --help explains them.";

void AddSharedFlags(CLI::App& app, CommandContext& context) {
  context.config_file = DefaultCtlConfigPath();
  context.context_name = DefaultCtlContext();
  const std::string fallback = context.config_file.empty()
                                   ? "none, since HOME is not set"
                                   : context.config_file;
  AsPath(app.add_option("--config", context.config_file,
                        "which broker to call, and as whom (default " +
                            fallback + ", or $LATCHKEYCTL_CONFIG)"))
      ->group("Which broker");
  app.add_option("--context", context.context_name,
                 "the context of that file (default $LATCHKEYCTL_CONTEXT, or "
                 "its current_context)")
      ->group("Which broker");
  app.add_option("--timeout", context.timeout,
                 "repeat what fails because the broker is away or busy, and "
                 "give up after this time (default 30s; batch 5m for each "
                 "1,000)")
      ->group("How long");
}

void AddBrokerCommands(CLI::App& app, CommandContext& context) {
  AddIssueCommand(app, context);
  AddBatchCommand(app, context);
  AddListCommand(app, context);
  AddGetCommand(app, context);
  AddWatchCommand(app, context);
  AddExplainCommand(app, context);
  AddExtendCommand(app, context);
  AddRevokeCommand(app, context);
  for (CLI::App* command : app.get_subcommands({})) {
    command->footer(command->get_footer() + kSharedFooter);
  }
}

void AddLocalCommands(CLI::App& app, CommandContext& context) {
  AddDoctorCommand(app, context);
  AddPolicyCommand(app, context);
  AddAuditCommand(app, context);
  AddCompletionCommand(app, context);
  AddVersionCommand(app, context);
}

void SayDelay(const std::string& text) {
  std::cerr << fmt::format("latchkeyctl: {}\n", Visible(text));
}

// A pipe whose reader has enough, such as head.
bool ReaderIsGone() {
  pollfd out{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
  return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

int Finish(const CommandContext& context, const absl::StatusOr<int>& result) {
  absl::Status status = result.status();
  if (status.ok()) status = context.Flush();
  if (status.ok()) return *result;
  if (IsReaderGone(status)) return kReaderGone;
  context.err << ErrorText(status);
  return ExitCodeOf(status);
}

}  // namespace

int RunCtl(const std::vector<std::string>& arguments, CommandContext& context) {
  CLI::App app("latchkeyctl: asks a Latchkey broker for tokens, and after them",
               "latchkeyctl");
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", kVersion);
  AddSharedFlags(app, context);
  AddBrokerCommands(app, context);
  AddLocalCommands(app, context);
  // After the commands, which would inherit it.
  app.footer(kFooter);
  absl::Status usage = CheckWords(arguments);
  if (!usage.ok()) return Finish(context, usage);
  try {
    // CLI11 takes them from the end.
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    usage = CheckValues(app);
  } catch (const CLI::Success& help) {
    app.exit(help, context.out, context.err);
    return Finish(context, kDone);
  } catch (const CLI::ParseError& error) {
    usage = UsageError(app, error);
  }
  return Finish(context, usage.ok() ? context.run() : usage);
}

int RunCtl(int argc, char** argv) {
  HardenProcess();
  EndWhenOutOfMemory();
  const SystemClock clock;
  SystemPace pace;
  CommandContext context{
      .in = std::cin,
      .out = std::cout,
      .err = std::cerr,
      .interactive = isatty(STDIN_FILENO) != 0 && isatty(STDERR_FILENO) != 0,
      .clock = clock,
      .pace = pace,
      .connect = [&clock, &pace](const CtlConfig& config,
                                 absl::Duration timeout)
          -> absl::StatusOr<std::shared_ptr<BrokerApi>> {
        return ConnectToBroker(
            config, {.timeout = timeout, .pace = pace, .on_delay = &SayDelay},
            clock.Now());
      }};
  context.reader_is_gone = &ReaderIsGone;
  return RunCtl(std::vector<std::string>(argv + 1, argv + argc), context);
}

}  // namespace latchkey
