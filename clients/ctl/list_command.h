// `latchkeyctl list`: the tokens that the caller may see.

#ifndef LATCHKEY_CLIENTS_CTL_LIST_COMMAND_H_
#define LATCHKEY_CLIENTS_CTL_LIST_COMMAND_H_

#include "clients/ctl/command_context.h"

namespace latchkey {

void AddListCommand(CLI::App& app, CommandContext& context);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_LIST_COMMAND_H_
