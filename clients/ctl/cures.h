// What to do about an error: each has a cure, by its reason, by its code, or
// of its own.

#ifndef LATCHKEY_CLIENTS_CTL_CURES_H_
#define LATCHKEY_CLIENTS_CTL_CURES_H_

#include <string>
#include <string_view>

#include <absl/status/status.h>

namespace latchkey {

// What whoever gets this reason of docs/errors.md from an RPC of TokenBroker
// should do; empty for a reason that is not in the table.
std::string_view CureOf(std::string_view reason);

// What to do about an error.
std::string CureOf(const absl::Status& status);

// The same error with a cure of its own, for what its code does not tell.
absl::Status WithCure(absl::Status status, std::string_view cure);

// The exit code for an error (command_context.h).
int ExitCodeOf(const absl::Status& status);

// The error for a terminal: what went wrong, its reason and what goes with it,
// and what to do, a line each.
std::string ErrorText(const absl::Status& status);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_CURES_H_
