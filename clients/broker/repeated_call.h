// Calls to a broker that may be made again: the one place that says which
// errors are worth it, and how long to wait.

#ifndef LATCHKEY_CLIENTS_BROKER_REPEATED_CALL_H_
#define LATCHKEY_CLIENTS_BROKER_REPEATED_CALL_H_

#include <functional>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "clients/pace/pace.h"

namespace latchkey {

// True if the same call may succeed later: the broker could not be reached or
// could not work (kUnavailable), or has too much to do (kResourceExhausted).
// Not if the caller's quota of outstanding tokens is used up: that passes when
// machines join, which takes longer than anybody waits.
bool IsWorthRepeating(const absl::Status& status);

// Makes `call`, which must be idempotent, until it ends otherwise than with
// what IsWorthRepeating(), or until `timeout` is nearly over: then answers its
// last error. Between two calls it waits as Backoff does, and at least what the
// broker asked for. `call` is told how much time is left.
absl::Status CallRepeatedly(
    Pace& pace, absl::Duration timeout,
    const std::function<absl::Status(absl::Duration left)>& call);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_BROKER_REPEATED_CALL_H_
