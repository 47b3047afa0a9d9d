#include "clients/ctl/explain_command.h"

#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "clients/ctl/arguments.h"
#include "clients/ctl/cures.h"
#include "clients/ctl/data_tree.h"
#include "clients/ctl/output_flag.h"
#include "clients/ctl/token_text.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

struct ExplainFlags {
  std::string id;
  std::string output = "text";
};

absl::StatusOr<int> Explain(const CommandContext& context,
                            const ExplainFlags& flags) {
  LATCHKEY_ASSIGN_OR_RETURN(const auto api, context.Connect());
  v1::ExplainTokenRequest request;
  request.set_id(flags.id);
  const absl::StatusOr<v1::ExplainTokenResponse> explained =
      api->ExplainToken(request);
  if (ReasonOf(explained.status()) == reason::kTokenUnknown) {
    return WithCure(explained.status(),
                    "check the id; of a token whose record is gone, as it is "
                    "some time after the machine joined, the broker's audit "
                    "log still tells (docs/audit.md)");
  }
  LATCHKEY_ASSIGN_OR_RETURN(const v1::ExplainTokenResponse answer, explained);
  if (flags.output == "json") {
    context.out << JsonText(answer);
  } else if (flags.output == "yaml") {
    context.out << ToYaml(TreeOf(answer));
  } else {
    context.out << LineageText(answer);
  }
  return kDone;
}

}  // namespace

void AddExplainCommand(CLI::App& app, CommandContext& context) {
  const auto flags = std::make_shared<ExplainFlags>();
  CLI::App& command = *app.add_subcommand(
      "explain",
      "show what became of a token: who minted it, who claimed it, its CSRs, "
      "its certificate and its Node, and why attempts were refused, as far as "
      "the cluster still has them");
  command.footer(
      "Example:\n"
      "  latchkeyctl explain abc123\n"
      "Output:\n"
      "  latchkeyctl explain abc123 -o json | jq '.csrs[]'\n"
      "Of refused attempts it knows the first few, which the token's record "
      "notes, and the\n"
      "CSRs that the cluster still has, for an hour or so. All others are in "
      "the broker's\n"
      "audit log only.");
  AddTokenId(command, flags->id)->required();
  AddTextOutputFlag(command, flags->output);
  command.callback([&context, flags] {
    context.run = [&context, flags] { return Explain(context, *flags); };
  });
}

}  // namespace latchkey
