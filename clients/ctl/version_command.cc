#include "clients/ctl/version_command.h"

#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "clients/ctl/data_tree.h"
#include "clients/ctl/output_flag.h"
#include "core/version.h"

namespace latchkey {

void AddVersionCommand(CLI::App& app, CommandContext& context) {
  const auto output = std::make_shared<std::string>("text");
  CLI::App& command =
      *app.add_subcommand("version", "print the version of this program");
  command.footer(
      "Output:\n"
      "  latchkeyctl version\n"
      "  latchkeyctl version -o json | jq -r .version");
  AddTextOutputFlag(command, *output);
  command.callback([&context, output] {
    context.run = [&context, output]() -> absl::StatusOr<int> {
      context.out << (*output == "text"
                          ? fmt::format("latchkeyctl {}\n", kVersion)
                          : ToText(DataFields{{"version", kVersion}}, *output));
      return kDone;
    };
  });
}

}  // namespace latchkey
