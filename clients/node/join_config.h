// join.yaml: everything that latchkey-join can be told.

#ifndef LATCHKEY_CLIENTS_NODE_JOIN_CONFIG_H_
#define LATCHKEY_CLIENTS_NODE_JOIN_CONFIG_H_

#include <optional>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "clients/node/grpc_broker_client.h"
#include "clients/node/node_files.h"
#include "clients/node/node_joiner.h"

namespace latchkey {

// What the machine says when the file does not.
struct JoinEnvironment {
  // The node's name, once in lower case.
  std::string host_name;
  // systemd's $CREDENTIALS_DIRECTORY, where a file latchkey-ticket may be;
  // empty: none.
  std::string credentials_dir;
};

struct JoinConfig {
  JoinPlan plan;
  // Set in ticket mode.
  std::optional<BrokerEndpoint> broker;
  NodeFilePaths output;
};

// The configuration in `text`, with the content of the files that it names.
// `name` stands for the file. kInvalidArgument with every mistake, a line each:
// file, line, field, what is wrong and what would be right. Mistakes in the
// files count, so that nobody is called with half a configuration.
absl::StatusOr<JoinConfig> ParseJoinConfig(std::string_view name,
                                           std::string_view text,
                                           const JoinEnvironment& environment);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_NODE_JOIN_CONFIG_H_
