// One machine's join, in this process.

#ifndef LATCHKEY_BENCH_JOIN_ONE_H_
#define LATCHKEY_BENCH_JOIN_ONE_H_

#include <map>
#include <string>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/node/grpc_broker_client.h"
#include "core/ticket.h"
#include "tests/testing/temp_dir.h"

namespace latchkey_bench {

// How long each step took, by its name in latchkey-join's reports: key, claim,
// ask, wait; and at last files.
using JoinSteps = std::map<std::string, absl::Duration>;

// From the ticket to the credential, as latchkey-join does it, with connections
// of its own. The files are in `dir`, under the node's name.
absl::StatusOr<JoinSteps> JoinOne(const latchkey::BrokerEndpoint& endpoint,
                                  const std::string& node_name,
                                  const latchkey::Ticket& ticket,
                                  const latchkey_testing::TempDir& dir);

}  // namespace latchkey_bench

#endif  // LATCHKEY_BENCH_JOIN_ONE_H_
