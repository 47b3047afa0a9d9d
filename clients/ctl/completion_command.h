// `latchkeyctl completion SHELL`: what the shells need to complete a command
// line, made from the tree of commands itself, so that it knows every flag.

#ifndef LATCHKEY_CLIENTS_CTL_COMPLETION_COMMAND_H_
#define LATCHKEY_CLIENTS_CTL_COMPLETION_COMMAND_H_

#include "clients/ctl/command_context.h"

namespace latchkey {

// The script is of all commands that are there when it is asked for.
void AddCompletionCommand(CLI::App& app, CommandContext& context);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_COMPLETION_COMMAND_H_
