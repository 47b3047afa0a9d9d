#include "clients/ctl/revoke_command.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "clients/ctl/arguments.h"
#include "clients/ctl/cures.h"
#include "clients/ctl/filter_flags.h"
#include "clients/ctl/item_error.h"
#include "clients/ctl/output_flag.h"
#include "clients/ctl/token_text.h"
#include "core/refusal.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

struct RevokeFlags {
  std::string id;
  FilterFlags filter;
  std::string reason;
  bool dry_run = false;
  bool yes = false;
  std::string output = "table";
};

absl::StatusOr<v1::RevokeTokenRequest> RequestOf(const RevokeFlags& flags,
                                                 absl::Time now) {
  v1::RevokeTokenRequest request;
  LATCHKEY_ASSIGN_OR_RETURN(const v1::TokenFilter filter,
                            FilterOf(flags.filter, now));
  if (flags.id.empty() == IsEmpty(filter)) {
    return absl::InvalidArgumentError(
        "name one token by its id, or several by flags such as --node, and not "
        "both");
  }
  if (flags.id.empty()) {
    *request.mutable_filter() = filter;
  } else {
    request.set_id(flags.id);
  }
  for (const int state : filter.states()) {
    if (state != v1::TOKEN_STATE_SPENT) continue;
    return WithCure(
        absl::InvalidArgumentError(
            "--state: a token that is spent has bought its certificate, and "
            "cannot be revoked"),
        "leave spent out; to shut out a machine that has joined, delete its "
        "Node and its access");
  }
  request.set_reason(flags.reason);
  return request;
}

// Says who revoked before what is to be revoked, and answers how many these
// are. A token keeps its first revocation: after a call for `reason`, another
// one tells. Empty: nothing was revoked yet.
int SayRevokedAlready(const CommandContext& context, const std::string& reason,
                      const v1::RevokeTokenResponse& response) {
  int already = 0;
  for (const v1::Token& token : response.tokens()) {
    if (token.state() != v1::TOKEN_STATE_REVOKED) continue;
    const v1::TokenRevocation& first = token.revocation();
    if (first.reason() == reason) continue;
    ++already;
    context.err << fmt::format(
        "token {} was revoked already, by {} at {}, and keeps its reason: {}\n",
        Visible(token.id()), Visible(first.revoked_by()),
        TimeText(first.revoke_time()), Visible(first.reason()));
  }
  return already;
}

void Print(const CommandContext& context, const std::string& output,
           const v1::RevokeTokenResponse& response) {
  TokenPrinter printer(context.out, output);
  for (const v1::Token& token : response.tokens()) printer.Add(token);
  if (response.tokens_size() > 0) printer.WritePage();
}

// What would be cut off.
absl::StatusOr<v1::RevokeTokenResponse> Preview(
    BrokerApi& api, v1::RevokeTokenRequest request) {
  request.set_validate_only(true);
  return api.RevokeToken(request);
}

std::string CountText(const v1::RevokeTokenResponse& response, int already) {
  const int count = response.tokens_size() - already;
  return fmt::format("{}{} token{}", response.more() ? "more than " : "", count,
                     count == 1 ? "" : "s");
}

// Shows what would be cut off, and asks. kDone if there is nothing to ask for,
// nullopt if a person agreed, else kFailedForNow: what was asked for is not
// done, and a script around this should not go on as if it were.
absl::StatusOr<std::optional<int>> Ask(const CommandContext& context,
                                       BrokerApi& api,
                                       const v1::RevokeTokenRequest& request) {
  LATCHKEY_ASSIGN_OR_RETURN(const v1::RevokeTokenResponse preview,
                            Preview(api, request));
  const int already = SayRevokedAlready(context, "", preview);
  if (preview.tokens_size() == already) {
    context.err << "there is nothing to revoke\n";
    return kDone;
  }
  TextTable table(TokenHeader());
  for (const v1::Token& token : preview.tokens()) table.Add(TokenCells(token));
  context.err << table.Take()
              << fmt::format("revoke {}? [y/N] ", CountText(preview, already));
  context.err.flush();
  std::string answer;
  std::getline(context.in, answer);
  if (answer == "y" || answer == "yes") return std::nullopt;
  context.err << "nothing was revoked\n";
  return kFailedForNow;
}

void ReportFailures(const CommandContext& context,
                    const v1::RevokeTokenResponse& response) {
  for (const v1::FailedItem& item : response.failed()) {
    const absl::Status why = StatusOf(item.error());
    const std::string id = Visible(item.id());
    if (!OutcomeIsUnknown(why)) {
      context.err << fmt::format("token {} is not revoked\n{}", id,
                                 ErrorText(why));
      continue;
    }
    // If it is, no filter selects it again.
    context.err << fmt::format(
        "token {} may or may not be revoked\n{}"
        "and by its id, whatever else: latchkeyctl revoke {} --reason WHY\n",
        id, ErrorText(why), id);
  }
}

// Of a run that revoked none: refused only if the broker tried all of them, and
// refused each.
int ExitCodeOfAll(const std::map<std::string, absl::Status>& failed,
                  bool more) {
  const bool refused =
      !more && std::ranges::all_of(failed, [](const auto& one) {
        return ExitCodeOf(one.second) == kRefused;
      });
  return refused ? kRefused : kFailedForNow;
}

// Until no more are left, or a call revokes none.
absl::StatusOr<int> RevokeAll(const CommandContext& context, BrokerApi& api,
                              const v1::RevokeTokenRequest& request,
                              const std::string& output) {
  int revoked = 0;
  int already = 0;
  std::map<std::string, absl::Status> failed;
  bool more = true;
  for (bool progress = true; more && progress;) {
    absl::StatusOr<v1::RevokeTokenResponse> response = api.RevokeToken(request);
    if (!response.ok()) {
      if (revoked == 0) return response.status();
      context.err << ErrorText(response.status());
      break;
    }
    Print(context, output, *response);
    ReportFailures(context, *response);
    LATCHKEY_RETURN_IF_ERROR(context.Flush());
    for (const auto& item : response->failed()) {
      failed.insert_or_assign(item.id(), StatusOf(item.error()));
    }
    for (const v1::Token& token : response->tokens()) failed.erase(token.id());
    const int again = SayRevokedAlready(context, request.reason(), *response);
    already += again;
    revoked += response->tokens_size() - again;
    more = response->more();
    progress = response->tokens_size() > 0;
  }
  const bool whole = failed.empty() && !more;
  context.err << fmt::format(
      "{} revoked{}{}\n", revoked,
      already > 0 ? fmt::format(", {} before", already) : std::string(),
      whole ? "" : "; run it again for the others");
  if (whole) return kDone;
  return revoked > 0 ? kPartlyDone : ExitCodeOfAll(failed, more);
}

absl::StatusOr<int> Revoke(const CommandContext& context,
                           const RevokeFlags& flags) {
  LATCHKEY_ASSIGN_OR_RETURN(const v1::RevokeTokenRequest request,
                            RequestOf(flags, context.clock.Now()));
  const bool ask = context.interactive && !flags.yes && !flags.dry_run;
  if (request.has_filter() && !ask && !flags.yes && !flags.dry_run) {
    return absl::InvalidArgumentError(
        "nobody can be asked here: add --yes to revoke all that fit the flags, "
        "or --dry-run to see them");
  }
  LATCHKEY_ASSIGN_OR_RETURN(const auto api, context.Connect());
  if (flags.dry_run) {
    LATCHKEY_ASSIGN_OR_RETURN(const v1::RevokeTokenResponse preview,
                              Preview(*api, request));
    Print(context, flags.output, preview);
    const int already = SayRevokedAlready(context, "", preview);
    context.err << fmt::format("would revoke {}\n",
                               CountText(preview, already));
    return kDone;
  }
  if (ask) {
    LATCHKEY_ASSIGN_OR_RETURN(const std::optional<int> ended,
                              Ask(context, *api, request));
    if (ended.has_value()) return *ended;
  }
  return RevokeAll(context, *api, request, flags.output);
}

}  // namespace

void AddRevokeCommand(CLI::App& app, CommandContext& context) {
  const auto flags = std::make_shared<RevokeFlags>();
  CLI::App& command = *app.add_subcommand(
      "revoke",
      "cut tokens off: they can neither be claimed nor buy a certificate");
  command.footer(
      "One token:\n"
      "  latchkeyctl revoke abc123 --reason 'user-data leaked'\n"
      "Which tokens:\n"
      "  latchkeyctl revoke --label pool=gpu --reason 'pool is gone' "
      "--dry-run\n"
      "Asking (on a terminal; elsewhere several need --yes):\n"
      "  latchkeyctl revoke --node 'worker-*' --reason test --yes\n"
      "Output:\n"
      "  latchkeyctl revoke --label pool=gpu --reason test --yes -o name\n"
      "A certificate that was bought stays valid.");
  AddTokenId(command, flags->id);
  command
      .add_option("--reason", flags->reason,
                  "why, for whoever asks later: up to 256 characters")
      ->required();
  AddFilterFlags(command, flags->filter);
  command
      .add_flag("--dry-run", flags->dry_run,
                "show what would be cut off, and revoke nothing")
      ->group("Asking");
  command.add_flag("--yes", flags->yes, "do not ask")->group("Asking");
  AddOutputFlag(command, flags->output);
  command.callback([&context, flags] {
    context.run = [&context, flags] { return Revoke(context, *flags); };
  });
}

}  // namespace latchkey
