#include "clients/ctl/list_command.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <memory>
#include <string>
#include <system_error>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "clients/ctl/filter_flags.h"
#include "clients/ctl/output_flag.h"
#include "clients/ctl/token_text.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

constexpr int kPageSize = 500;

struct ListFlags {
  FilterFlags filter;
  int limit = 0;
  std::string output = "table";
};

// For CLI11, whose own says it with three hundred digits.
std::string MistakeOfLimit(const std::string& text) {
  int limit = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, limit);
  const bool is_good =
      parsed.ec == std::errc() && parsed.ptr == end && limit > 0;
  return is_good || text.empty()
             ? ""
             : fmt::format("must be a whole number from 1 to {}",
                           std::numeric_limits<int>::max());
}

// Page by page, so that the first tokens are there at once and memory is
// bounded.
absl::StatusOr<int> List(const CommandContext& context,
                         const ListFlags& flags) {
  v1::ListTokensRequest request;
  LATCHKEY_ASSIGN_OR_RETURN(*request.mutable_filter(),
                            FilterOf(flags.filter, context.clock.Now()));
  LATCHKEY_ASSIGN_OR_RETURN(const auto api, context.Connect());
  TokenPrinter printer(context.out, flags.output);
  int left = flags.limit;
  do {
    request.set_page_size(left > 0 ? std::min(left, kPageSize) : kPageSize);
    LATCHKEY_ASSIGN_OR_RETURN(const v1::ListTokensResponse page,
                              api->ListTokens(request));
    for (const v1::Token& token : page.tokens()) {
      printer.Add(token);
      if (flags.limit > 0 && --left == 0) break;
    }
    printer.WritePage();
    LATCHKEY_RETURN_IF_ERROR(context.Flush());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty() && (flags.limit == 0 || left > 0));
  if (!request.page_token().empty() && flags.output == "table") {
    context.err << "there are more; --limit ended the list\n";
  }
  return kDone;
}

}  // namespace

void AddListCommand(CLI::App& app, CommandContext& context) {
  const auto flags = std::make_shared<ListFlags>();
  CLI::App& command =
      *app.add_subcommand("list", "list the tokens that you may see");
  command.footer(
      "Which tokens (all that fit every flag):\n"
      "  latchkeyctl list --state issued,active --node 'worker-*'\n"
      "  latchkeyctl list --label pool=gpu --expires-before 10m\n"
      "Output (json is an object a line):\n"
      "  latchkeyctl list --limit 20\n"
      "  latchkeyctl list --state issued -o name");
  AddFilterFlags(command, flags->filter);
  command
      .add_option("--limit", flags->limit,
                  "no more than so many (default: all)")
      ->check(MistakeOfLimit)
      ->group("Output");
  AddOutputFlag(command, flags->output);
  command.callback([&context, flags] {
    context.run = [&context, flags] { return List(context, *flags); };
  });
}

}  // namespace latchkey
