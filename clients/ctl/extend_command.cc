#include "clients/ctl/extend_command.h"

#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "clients/ctl/arguments.h"
#include "clients/ctl/filter_flags.h"
#include "clients/ctl/output_flag.h"
#include "clients/ctl/token_text.h"
#include "core/status_macros.h"
#include "core/text_time.h"

namespace latchkey {
namespace {

struct ExtendFlags {
  std::string id;
  std::string for_time;
  std::string until;
  std::string output = "table";
};

absl::StatusOr<absl::Time> NewExpiry(const ExtendFlags& flags, absl::Time now) {
  if (!flags.until.empty()) {
    LATCHKEY_ASSIGN_OR_RETURN(const absl::Time until,
                              TimeOfFlag("until", flags.until, now));
    if (until > now) return until;
    return absl::InvalidArgumentError(
        "--until: is in the past; latchkeyctl revoke ends a token");
  }
  const auto duration = ParsePositiveDuration(flags.for_time);
  if (duration.ok()) return now + *duration;
  return absl::InvalidArgumentError("--for: " +
                                    std::string(duration.status().message()));
}

absl::StatusOr<int> Extend(const CommandContext& context,
                           const ExtendFlags& flags) {
  LATCHKEY_ASSIGN_OR_RETURN(const absl::Time expiry,
                            NewExpiry(flags, context.clock.Now()));
  LATCHKEY_ASSIGN_OR_RETURN(const auto api, context.Connect());
  v1::ExtendTokenRequest request;
  request.set_id(flags.id);
  request.mutable_expire_time()->set_seconds(absl::ToUnixSeconds(expiry));
  LATCHKEY_ASSIGN_OR_RETURN(const v1::Token token, api->ExtendToken(request));
  TokenPrinter printer(context.out, flags.output);
  printer.Add(token);
  printer.WritePage();
  if (token.expire_time().seconds() > request.expire_time().seconds()) {
    context.err << "unchanged: it lasts longer than that already\n";
  }
  return kDone;
}

}  // namespace

void AddExtendCommand(CLI::App& app, CommandContext& context) {
  const auto flags = std::make_shared<ExtendFlags>();
  CLI::App& command = *app.add_subcommand(
      "extend", "give a token more time, within what its rule allows");
  command.footer(
      "How long:\n"
      "  latchkeyctl extend abc123 --for 30m     # half an hour from now\n"
      "  latchkeyctl extend abc123 --until 2026-01-02T15:04:05Z\n"
      "Output:\n"
      "  latchkeyctl extend abc123 --for 30m -o json | jq -r .expireTime");
  AddTokenId(command, flags->id)->required();
  CLI::Option_group& how_long = *command.add_option_group("How long");
  how_long.add_option("--for", flags->for_time,
                      "so long from now: 90s, 15m, 1h30m");
  how_long.add_option("--until", flags->until, "up to this time");
  how_long.require_option(1);
  AddOutputFlag(command, flags->output);
  command.callback([&context, flags] {
    context.run = [&context, flags] { return Extend(context, *flags); };
  });
}

}  // namespace latchkey
