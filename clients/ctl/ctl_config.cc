#include "clients/ctl/ctl_config.h"

#include <stdlib.h>

#include <memory>

#include "core/config_reader.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

std::string Environment(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

absl::StatusOr<CtlConfig> ParseCtlConfig(std::string_view name,
                                         std::string_view text) {
  LATCHKEY_ASSIGN_OR_RETURN(const std::unique_ptr<ConfigDocument> document,
                            ConfigDocument::Parse(name, text));
  const ConfigReader root = document->root();
  const ConfigReader broker = root.Section("broker");
  const ConfigReader identity = root.Section("identity");
  CtlConfig config{
      .endpoint = broker.RequiredString("endpoint"),
      .ca_file = broker.RequiredString("ca_file"),
      .server_name = broker.String("server_name", ""),
      .certificate_file = identity.RequiredString("certificate_file"),
      .private_key_file = identity.RequiredString("private_key_file")};
  LATCHKEY_RETURN_IF_ERROR(document->Finish());
  return config;
}

std::string DefaultCtlConfigPath() {
  if (std::string path = Environment("LATCHKEYCTL_CONFIG"); !path.empty()) {
    return path;
  }
  std::string folder = Environment("XDG_CONFIG_HOME");
  if (folder.empty()) folder = Environment("HOME") + "/.config";
  return folder + "/latchkey/latchkeyctl.yaml";
}

}  // namespace latchkey
