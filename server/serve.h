// What the ways to run a broker share: its loop and its complaints.

#ifndef LATCHKEY_SERVER_SERVE_H_
#define LATCHKEY_SERVER_SERVE_H_

#include <functional>

#include <absl/status/status.h>

#include "clients/process/stop_signals.h"
#include "server/broker.h"
#include "server/policy_reload.h"

namespace latchkey {

// Exit codes.
inline constexpr int kFailed = 1;
inline constexpr int kBadConfiguration = 2;

// Says on standard error why the program ends, and answers its exit code:
// kBadConfiguration for kInvalidArgument, else kFailed.
int Complain(const absl::Status& status);

// Keeps the broker's health up to date until a signal comes. `on_serving` is
// called when it serves for the first time. With `reload`,
// SIGHUP (which must be one of the signals) reloads the policy instead, and so
// does a change of the file.
void Serve(Broker& broker, const StopSignals& signals,
           const std::function<void()>& on_serving,
           PolicyReload* reload = nullptr);

}  // namespace latchkey

#endif  // LATCHKEY_SERVER_SERVE_H_
