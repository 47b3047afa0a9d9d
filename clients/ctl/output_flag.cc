#include "clients/ctl/output_flag.h"

#include <CLI/CLI.hpp>

namespace latchkey {

void AddOutputFlag(CLI::App& command, std::string& output) {
  command
      .add_option("-o,--output", output, "table (default), json, yaml, name")
      ->check(CLI::IsMember({"table", "json", "yaml", "name"}))
      ->group("Output");
}

}  // namespace latchkey
