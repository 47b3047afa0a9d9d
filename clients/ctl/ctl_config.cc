#include "clients/ctl/ctl_config.h"

#include <stdlib.h>

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "clients/broker/broker_address.h"
#include "core/config_reader.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

std::string Environment(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

// A mistake at the field, if it is there, unless it is a broker's address.
void CheckAddress(const ConfigReader& broker, std::string_view field,
                  const std::string& address) {
  if (!address.empty()) broker.Check(field, CheckBrokerAddress(address));
}

void ReadIdentity(const ConfigReader& reader, CtlConfig& config) {
  const ConfigReader identity = reader.Section("identity");
  const bool has_certificate = identity.Has("certificate_file");
  const bool has_key = identity.Has("private_key_file");
  if (identity.Has("token_file")) {
    config.token_file = identity.RequiredString("token_file");
    if (!has_certificate && !has_key) return;
  } else if (!has_certificate && !has_key) {
    reader.Mistake("identity",
                   "who calls? name a certificate_file and its "
                   "private_key_file, or a token_file");
    return;
  }
  if (has_certificate != has_key) {
    identity.Mistake(
        "", fmt::format(
                "{} is missing: certificate_file and "
                "private_key_file go together{}",
                has_key ? "certificate_file" : "private_key_file",
                config.token_file.empty() ? "" : "; token_file needs neither"));
    return;
  }
  config.certificate_file = identity.RequiredString("certificate_file");
  config.private_key_file = identity.RequiredString("private_key_file");
}

CtlConfig ReadContext(const ConfigReader& reader) {
  const ConfigReader broker = reader.Section("broker");
  CtlConfig config{.endpoint = broker.RequiredString("endpoint"),
                   .ca_file = broker.RequiredString("ca_file"),
                   .server_name = broker.String("server_name", ""),
                   .node_endpoint = broker.String("node_endpoint", ""),
                   .node_ca_file = broker.String("node_ca_file", "")};
  if (config.node_ca_file.empty()) config.node_ca_file = config.ca_file;
  CheckAddress(broker, "endpoint", config.endpoint);
  CheckAddress(broker, "node_endpoint", config.node_endpoint);
  ReadIdentity(reader, config);
  return config;
}

using Contexts = std::map<std::string, CtlConfig, std::less<>>;

Contexts ReadContexts(const ConfigReader& root) {
  Contexts contexts;
  const std::vector<ConfigReader> sections = root.Sections("contexts");
  if (sections.empty()) root.Mistake("contexts", "must have a context");
  for (const ConfigReader& section : sections) {
    const std::string name = section.RequiredString("name");
    if (!contexts.emplace(name, ReadContext(section)).second) {
      section.Mistake("name", "another context has this name");
    }
  }
  for (const char* field : {"broker", "identity"}) {
    if (root.Has(field))
      root.Mistake(field, "belongs into one of the contexts");
  }
  return contexts;
}

std::string NamesOf(const Contexts& contexts) {
  std::string names;
  for (const auto& [name, config] : contexts) {
    names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

}  // namespace

absl::StatusOr<CtlConfig> ParseCtlConfig(std::string_view name,
                                         std::string_view text,
                                         std::string_view context) {
  LATCHKEY_ASSIGN_OR_RETURN(const std::unique_ptr<ConfigDocument> document,
                            ConfigDocument::Parse(name, text));
  const ConfigReader root = document->root();
  if (!root.Has("contexts")) {
    CtlConfig config = ReadContext(root);
    LATCHKEY_RETURN_IF_ERROR(document->Finish());
    if (context.empty()) return config;
    return absl::InvalidArgumentError(fmt::format(
        "{}: has no contexts, so none is called {}", name, context));
  }
  const Contexts contexts = ReadContexts(root);
  const std::string current = root.String("current_context", "");
  LATCHKEY_RETURN_IF_ERROR(document->Finish());
  const std::string_view wanted = context.empty() ? current : context;
  if (wanted.empty() && contexts.size() == 1) return contexts.begin()->second;
  if (const auto it = contexts.find(wanted); it != contexts.end()) {
    return it->second;
  }
  return absl::InvalidArgumentError(
      wanted.empty() ? fmt::format("{}: choose a context with --context or "
                                   "current_context; there are {}",
                                   name, NamesOf(contexts))
                     : fmt::format("{}: there is no context {}; there are {}",
                                   name, wanted, NamesOf(contexts)));
}

std::string DefaultCtlConfigPath() {
  if (std::string path = Environment("LATCHKEYCTL_CONFIG"); !path.empty()) {
    return path;
  }
  std::string folder = Environment("XDG_CONFIG_HOME");
  if (folder.empty()) {
    const std::string home = Environment("HOME");
    if (home.empty()) return "";
    folder = home + "/.config";
  }
  return folder + "/latchkey/latchkeyctl.yaml";
}

std::string DefaultCtlContext() { return Environment("LATCHKEYCTL_CONTEXT"); }

}  // namespace latchkey
