// What a command of latchkeyctl works with, and how one is added:
//
//   // frob_command.h
//   void AddFrobCommand(CLI::App& app, CommandContext& context);
//
//   // frob_command.cc
//   void AddFrobCommand(CLI::App& app, CommandContext& context) {
//     auto flags = std::make_shared<FrobFlags>();
//     CLI::App& command = *app.add_subcommand("frob", "frobs a token");
//     command.add_option("id", flags->id, "the token's id")->required();
//     command.callback([&context, flags] {
//       context.run = [&context, flags] { return Frob(context, *flags); };
//     });
//   }
//
// and one line in run_ctl.cc.

#ifndef LATCHKEY_CLIENTS_CTL_COMMAND_CONTEXT_H_
#define LATCHKEY_CLIENTS_CTL_COMMAND_CONTEXT_H_

#include <functional>
#include <istream>
#include <memory>
#include <ostream>
#include <string>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/ctl/broker_api.h"
#include "clients/ctl/ctl_config.h"
#include "clients/pace/pace.h"
#include "core/clock.h"

namespace CLI {
class App;
}  // namespace CLI

namespace latchkey {

// Exit codes of every command.
inline constexpr int kDone = 0;
// Failed, and may succeed later.
inline constexpr int kFailedForNow = 1;
// The arguments or the configuration are wrong.
inline constexpr int kBadUsage = 2;
// The broker refused.
inline constexpr int kRefused = 3;
// Some of several items were done; run it again for the others.
inline constexpr int kPartlyDone = 4;
// As of SIGPIPE: whoever read standard output is gone.
inline constexpr int kReaderGone = 128 + 13;

// Borrows what it refers to. Used by one thread.
struct CommandContext {
  std::istream& in;
  // What was asked for: for a pipe.
  std::ostream& out;
  // What else there is to say: for people.
  std::ostream& err;
  // A person reads `err` and can answer on `in`.
  bool interactive = false;
  const Clock& clock;
  Pace& pace;
  // Shared: a test keeps its own hold on what it hands out.
  std::function<absl::StatusOr<std::shared_ptr<BrokerApi>>(
      const CtlConfig& config, absl::Duration timeout)>
      connect;

  // The flags of all commands.
  std::string config_file = {};
  std::string context_name = {};
  std::string timeout = {};  // as typed; empty: the command's own default

  // Tells a broken pipe from other reasons for `out` to fail. None: it is never
  // one.
  std::function<bool()> reader_is_gone = {};

  // Set by the command that was chosen; answers the exit code. An error is
  // reported, and turned into an exit code, by whoever runs it.
  std::function<absl::StatusOr<int>()> run = {};

  // The context of the configuration file. kInvalidArgument.
  absl::StatusOr<CtlConfig> Config() const;
  // `timeout`, or `fallback`. kInvalidArgument.
  absl::StatusOr<absl::Duration> Timeout(absl::Duration fallback) const;
  // A broker's API whose calls end within Timeout(). kInvalidArgument.
  absl::StatusOr<std::shared_ptr<BrokerApi>> Connect(
      absl::Duration fallback_timeout = absl::Seconds(30)) const;
  // Hands on what was written to `out`. kInternal if nobody takes it, and
  // IsReaderGone() if that is because nobody wants more.
  absl::Status Flush() const;
};

// True of the error of Flush() for a reader of standard output that is gone:
// there is nothing to say, and the exit code is kReaderGone, as it is of
// programs that the signal ends.
bool IsReaderGone(const absl::Status& status);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_COMMAND_CONTEXT_H_
