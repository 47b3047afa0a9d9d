// latchkeyctl.yaml: which brokers there are to call, and as whom.

#ifndef LATCHKEY_CLIENTS_CTL_CTL_CONFIG_H_
#define LATCHKEY_CLIENTS_CTL_CTL_CONFIG_H_

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

namespace latchkey {

// One context: a broker, and the caller's identity towards it. Relative paths
// are relative to the working folder.
struct CtlConfig {
  // host:port of the broker's provisioner API.
  std::string endpoint;
  // The authorities that the broker's certificate must come from.
  std::string ca_file;
  // The name that the broker's certificate is for; empty: the endpoint's host.
  std::string server_name;
  // host:port of the API that machines call, and the authorities they trust it
  // by: what goes into the files of a machine. Empty: not given; the second is
  // then `ca_file`.
  std::string node_endpoint;
  std::string node_ca_file;
  // The caller's certificate and key, or the file of its bearer token. One of
  // the two, or both: then the token says who calls.
  std::string certificate_file;
  std::string private_key_file;
  std::string token_file;
};

// The context of that name in a file with `contexts`, or the one of a file
// with `broker` and `identity` at its top, which has no name. Empty: the file's
// `current_context`, or the only one.
//
// kInvalidArgument with every mistake of the file, a line each; or with the
// names that there are, if the one asked for is not among them.
absl::StatusOr<CtlConfig> ParseCtlConfig(std::string_view name,
                                         std::string_view text,
                                         std::string_view context = "");

// $LATCHKEYCTL_CONFIG, else latchkey/latchkeyctl.yaml in $XDG_CONFIG_HOME, else
// in ~/.config; empty if there is no $HOME either.
std::string DefaultCtlConfigPath();

// $LATCHKEYCTL_CONTEXT, or empty.
std::string DefaultCtlContext();

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_CTL_CONFIG_H_
