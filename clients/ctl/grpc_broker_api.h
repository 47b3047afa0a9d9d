// BrokerApi over gRPC.

#ifndef LATCHKEY_CLIENTS_CTL_GRPC_BROKER_API_H_
#define LATCHKEY_CLIENTS_CTL_GRPC_BROKER_API_H_

#include <memory>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/ctl/broker_api.h"
#include "clients/ctl/ctl_config.h"
#include "clients/pace/pace.h"

namespace latchkey {

// Reads the files of `config`; connects with the first call. Each call,
// repetitions included, ends within `timeout`, except for a watch, which ends
// when it is over. A bearer token is read from its file for each call. `pace`
// must outlive the answer.
//
// kInvalidArgument: a file cannot be read, or holds something else.
absl::StatusOr<std::unique_ptr<BrokerApi>> ConnectToBroker(
    const CtlConfig& config, absl::Duration timeout, Pace& pace);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_GRPC_BROKER_API_H_
