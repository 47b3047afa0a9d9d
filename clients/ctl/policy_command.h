// `latchkeyctl policy test FILE`: a policy judged by its own tests, without a
// broker.

#ifndef LATCHKEY_CLIENTS_CTL_POLICY_COMMAND_H_
#define LATCHKEY_CLIENTS_CTL_POLICY_COMMAND_H_

#include "clients/ctl/command_context.h"

namespace latchkey {

// Prints a line for each test, and how many passed. kInvalidArgument if the
// file is wrong, or a test failed.
void AddPolicyCommand(CLI::App& app, CommandContext& context);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_POLICY_COMMAND_H_
