// Any bytes as broker.yaml: refused with each mistake on a line that names the
// file, or within the limits that the fields have.

#include <string>
#include <string_view>

#include "server/broker_config.h"
#include "tests/fuzz/insist.h"

namespace {

using latchkey_testing::Insist;

void CheckMistakes(const absl::Status& status) {
  Insist(absl::IsInvalidArgument(status));
  Insist(!status.message().empty());
}

void CheckListener(const latchkey::ListenerConfig& listener) {
  const size_t colon = listener.listen.rfind(':');
  Insist(colon != std::string::npos && colon > 0);
  Insist(std::stoi(listener.listen.substr(colon + 1)) <= 65535);
  Insist(!listener.certificate_file.empty());
  Insist(!listener.private_key_file.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = latchkey_testing::AsText(data, size);
  const auto config = latchkey::ParseBrokerConfig("broker.yaml", text);
  if (!config.ok()) {
    CheckMistakes(config.status());
    return 0;
  }
  CheckListener(config->provisioner_api);
  CheckListener(config->node_api);
  // A port for provisioners that asks nobody who they are does not open.
  Insist(!config->provisioner_api.client_ca_file.empty() ||
         config->authentication.TakesBearerTokens());
  Insist(config->node_api.client_ca_file.empty());
  Insist(config->token_group.starts_with("system:bootstrappers:"));
  Insist(config->join_window >= absl::Minutes(1) &&
         config->join_window <= absl::Hours(24));
  Insist(config->fetch_grace >= absl::Seconds(1) &&
         config->fetch_grace <= absl::Minutes(10));
  Insist(config->max_calls >= 1 && config->max_calls <= 1024);
  if (config->max_connections.has_value()) {
    Insist(*config->max_connections >= 16 &&
           *config->max_connections <= 500'000);
    Insist(config->max_connections_of_peer.value_or(1) <=
           *config->max_connections);
  }
  Insist(config->max_connections_of_peer.value_or(1) >= 1);
  Insist(config->peer_rate.per_second > 0 && config->peer_rate.burst >= 1);
  for (const std::string& url : config->api_servers) {
    Insist(url.starts_with("https://"));
  }
  for (const latchkey::PolicyRule& rule : config->policy) {
    Insist(!rule.name.empty() && !rule.provisioners.empty());
  }
  return 0;
}
