// BrokerApi over gRPC.

#ifndef LATCHKEY_CLIENTS_CTL_GRPC_BROKER_API_H_
#define LATCHKEY_CLIENTS_CTL_GRPC_BROKER_API_H_

#include <functional>
#include <memory>
#include <string>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/ctl/broker_api.h"
#include "clients/ctl/ctl_config.h"
#include "clients/pace/pace.h"

namespace latchkey {

// How calls are made.
struct CallOptions {
  // Each call, repetitions included, ends within it; a watch ends when it is
  // over.
  absl::Duration timeout;
  // Must outlive the API.
  Pace& pace;
  // Told once, after some seconds, that a call takes long, and why: from within
  // the call, though it goes on.
  std::function<void(const std::string& text)> on_delay;
};

// Reads the files of `config` (broker_files.h); connects with the first call. A
// bearer token is read from its file for each call.
//
// kInvalidArgument: a file cannot be read, or is not valid at `now`.
absl::StatusOr<std::unique_ptr<BrokerApi>> ConnectToBroker(
    const CtlConfig& config, const CallOptions& calls, absl::Time now);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_GRPC_BROKER_API_H_
