// `latchkeyctl explain`: what became of a token, and why.

#ifndef LATCHKEY_CLIENTS_CTL_EXPLAIN_COMMAND_H_
#define LATCHKEY_CLIENTS_CTL_EXPLAIN_COMMAND_H_

#include "clients/ctl/command_context.h"

namespace latchkey {

void AddExplainCommand(CLI::App& app, CommandContext& context);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_EXPLAIN_COMMAND_H_
