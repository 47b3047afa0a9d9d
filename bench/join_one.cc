#include "bench/join_one.h"

#include "clients/node/api_server_client.h"
#include "clients/node/node_joiner.h"

namespace latchkey_bench {

absl::Status JoinOne(const latchkey::BrokerEndpoint& endpoint,
                     const std::string& node_name,
                     const latchkey::Ticket& ticket,
                     const latchkey_testing::TempDir& dir) {
  latchkey::GrpcBrokerClient broker(endpoint);
  latchkey::NodeFiles files(
      {.cert_dir = dir.File(node_name + "/pki"),
       .kubeconfig = dir.File(node_name + "/kubelet.conf"),
       .ca_file = dir.File(node_name + "/ca.crt")});
  const latchkey::SystemClock clock;
  latchkey::SystemPace pace;
  return latchkey::NodeJoiner({.node_name = node_name, .credential = ticket},
                              {.broker = &broker,
                               .api_servers = latchkey::MakeApiServerClient,
                               .files = files,
                               .clock = clock,
                               .pace = pace,
                               .on_progress = nullptr})
      .Run()
      .status();
}

}  // namespace latchkey_bench
