#include "clients/doctor/broker_file.h"

#include <algorithm>

#include "core/config_reader.h"
#include "core/status_macros.h"
#include "core/token_scope.h"

namespace latchkey {
namespace {

void AddOnce(const std::string& value, std::vector<std::string>& values) {
  if (value.empty() ||
      std::find(values.begin(), values.end(), value) != values.end()) {
    return;
  }
  values.push_back(value);
}

}  // namespace

absl::StatusOr<BrokerFile> ParseBrokerFile(std::string_view name,
                                           std::string_view text) {
  LATCHKEY_ASSIGN_OR_RETURN(const auto document,
                            ConfigDocument::Parse(name, text));
  const ConfigReader root = document->root();
  BrokerFile file;
  const ConfigReader tokens = root.Section("tokens");
  file.token_group = tokens.String("group", file.token_group);
  if (!IsBootstrapGroup(file.token_group)) {
    tokens.Mistake("group", "is no group of bootstrap tokens");
  }
  for (const ConfigReader& rule : root.Sections("policy")) {
    for (const std::string& group : rule.Section("allow").Strings("groups")) {
      AddOnce(group, file.policy_groups);
    }
  }
  file.takes_service_accounts =
      root.Section("authentication").Has("service_accounts");
  AddOnce(root.Section("cluster").String("ca_file", ""),
          file.certificate_files);
  for (const char* api : {"provisioner_api", "node_api"}) {
    for (const char* field : {"certificate_file", "client_ca_file"}) {
      AddOnce(root.Section(api).String(field, ""), file.certificate_files);
    }
  }
  LATCHKEY_RETURN_IF_ERROR(
      document->Finish(ConfigDocument::UnknownFields::kAllow));
  return file;
}

}  // namespace latchkey
