#include "bench/join_one.h"

#include <string>
#include <string_view>
#include <utility>

#include "clients/node/api_server_client.h"
#include "clients/node/node_files.h"
#include "clients/node/node_joiner.h"
#include "core/status_macros.h"

namespace latchkey_bench {

absl::StatusOr<JoinSteps> JoinOne(const latchkey::BrokerEndpoint& endpoint,
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
  JoinSteps steps;
  absl::Duration done = pace.Elapsed();
  const auto end_step = [&](std::string_view step) {
    const absl::Duration now = pace.Elapsed();
    steps[std::string(step)] += now - std::exchange(done, now);
  };
  LATCHKEY_RETURN_IF_ERROR(
      latchkey::NodeJoiner({.node_name = node_name, .credential = ticket},
                           {.broker = &broker,
                            .api_servers = latchkey::MakeApiServerClient,
                            .files = files,
                            .clock = clock,
                            .pace = pace,
                            .on_progress =
                                [&](const latchkey::JoinProgress& progress) {
                                  end_step(progress.step);
                                }})
          .Run()
          .status());
  end_step("files");
  return steps;
}

}  // namespace latchkey_bench
