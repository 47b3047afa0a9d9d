#include "clients/ctl/version_command.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "core/version.h"

namespace latchkey {

void AddVersionCommand(CLI::App& app, CommandContext& context) {
  app.add_subcommand("version", "print the version of this program")
      ->callback([&context] {
        context.run = [&context]() -> absl::StatusOr<int> {
          context.out << fmt::format("latchkeyctl {}\n", kVersion);
          return kDone;
        };
      });
}

}  // namespace latchkey
