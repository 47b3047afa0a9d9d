#include "clients/ctl/output_flag.h"

#include <CLI/CLI.hpp>

namespace latchkey {

void AddOutputFlag(CLI::App& command, std::string& output) {
  command
      .add_option("-o,--output", output, "table (default), json, yaml, name")
      ->check(CLI::IsMember({"table", "json", "yaml", "name"}))
      ->group("Output");
}

void AddTextOutputFlag(CLI::App& command, std::string& output) {
  command.add_option("-o,--output", output, "text (default), json, yaml")
      ->check(CLI::IsMember({"text", "json", "yaml"}))
      ->group("Output");
}

}  // namespace latchkey
