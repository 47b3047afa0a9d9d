// `latchkeyctl get`: one token.

#ifndef LATCHKEY_CLIENTS_CTL_GET_COMMAND_H_
#define LATCHKEY_CLIENTS_CTL_GET_COMMAND_H_

#include "clients/ctl/command_context.h"

namespace latchkey {

void AddGetCommand(CLI::App& app, CommandContext& context);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_GET_COMMAND_H_
