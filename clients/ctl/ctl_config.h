// latchkeyctl.yaml: which broker to call, and as whom.

#ifndef LATCHKEY_CLIENTS_CTL_CTL_CONFIG_H_
#define LATCHKEY_CLIENTS_CTL_CTL_CONFIG_H_

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

namespace latchkey {

struct CtlConfig {
  // host:port of the broker's provisioner API.
  std::string endpoint;
  // The authorities that the broker's certificate must come from.
  std::string ca_file;
  // The name that the broker's certificate is for; empty: the endpoint's host.
  std::string server_name;
  // The caller's certificate and key.
  std::string certificate_file;
  std::string private_key_file;
};

// kInvalidArgument with every mistake, a line each.
absl::StatusOr<CtlConfig> ParseCtlConfig(std::string_view name,
                                         std::string_view text);

// $LATCHKEYCTL_CONFIG, else latchkey/latchkeyctl.yaml in $XDG_CONFIG_HOME, else
// in ~/.config.
std::string DefaultCtlConfigPath();

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_CTL_CONFIG_H_
