#include "clients/doctor/broker_file.h"

#include <algorithm>

#include "core/config_reader.h"
#include "core/status_macros.h"
#include "core/token_scope.h"
#include "policy/policy_file.h"

namespace latchkey {
namespace {

void AddOnce(const std::string& value, std::vector<std::string>& values) {
  if (value.empty() ||
      std::find(values.begin(), values.end(), value) != values.end()) {
    return;
  }
  values.push_back(value);
}

// A section of which `latchkeyd --check` judges the rest.
ConfigReader PartOf(const ConfigReader& reader, const char* field) {
  ConfigReader section = reader.Section(field);
  section.IgnoreOthers();
  return section;
}

}  // namespace

absl::StatusOr<BrokerFile> ParseBrokerFile(std::string_view name,
                                           std::string_view text) {
  LATCHKEY_ASSIGN_OR_RETURN(const auto document,
                            ConfigDocument::Parse(name, text));
  const ConfigReader root = document->root();
  for (const std::string_view section : kBrokerSections) root.Has(section);
  root.Has("policy_tests");
  BrokerFile file;
  const ConfigReader tokens = PartOf(root, "tokens");
  file.token_group = tokens.String("group", file.token_group);
  if (!IsBootstrapGroup(file.token_group)) {
    tokens.Mistake("group", "is no group of bootstrap tokens");
  }
  for (const ConfigReader& rule : root.Sections("policy")) {
    rule.IgnoreOthers();
    for (const std::string& group : PartOf(rule, "allow").Strings("groups")) {
      AddOnce(group, file.policy_groups);
    }
  }
  const ConfigReader authentication = PartOf(root, "authentication");
  file.takes_service_accounts = authentication.Has("service_accounts");
  const ConfigReader cluster = PartOf(root, "cluster");
  file.kubeconfig = cluster.String("kubeconfig", "");
  AddOnce(cluster.String("ca_file", ""), file.certificate_files);
  for (const char* api : {"provisioner_api", "node_api"}) {
    const ConfigReader section = PartOf(root, api);
    for (const char* field : {"certificate_file", "client_ca_file"}) {
      AddOnce(section.String(field, ""), file.certificate_files);
    }
  }
  for (const ConfigReader& issuer : authentication.Sections("jwt")) {
    issuer.IgnoreOthers();
    AddOnce(issuer.String("ca_file", ""), file.issuer_ca_files);
  }
  LATCHKEY_RETURN_IF_ERROR(document->Finish());
  return file;
}

}  // namespace latchkey
