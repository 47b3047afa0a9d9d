#include "clients/ctl/get_command.h"

#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "clients/ctl/arguments.h"
#include "clients/ctl/token_text.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

struct GetFlags {
  std::string id;
  std::string output = "text";
};

absl::StatusOr<int> Get(const CommandContext& context, const GetFlags& flags) {
  LATCHKEY_ASSIGN_OR_RETURN(const auto api, context.Connect());
  v1::GetTokenRequest request;
  request.set_id(flags.id);
  LATCHKEY_ASSIGN_OR_RETURN(const v1::Token token, api->GetToken(request));
  if (flags.output == "text") {
    context.out << TokenDescription(token);
  } else {
    TokenPrinter printer(context.out, flags.output);
    printer.Add(token);
    printer.WritePage();
  }
  return kDone;
}

}  // namespace

void AddGetCommand(CLI::App& app, CommandContext& context) {
  const auto flags = std::make_shared<GetFlags>();
  CLI::App& command = *app.add_subcommand("get", "show one token");
  command.footer(
      "Example:\n"
      "  latchkeyctl get abc123\n"
      "  latchkeyctl get abc123 -o json | jq -r .state");
  AddTokenId(command, flags->id)->required();
  command
      .add_option("-o,--output", flags->output,
                  "text (default), table, json, yaml, name")
      ->check(CLI::IsMember({"text", "table", "json", "yaml", "name"}))
      ->group("Output");
  command.callback([&context, flags] {
    context.run = [&context, flags] { return Get(context, *flags); };
  });
}

}  // namespace latchkey
