// `latchkeyctl watch`: what happens to tokens, as it happens.

#ifndef LATCHKEY_CLIENTS_CTL_WATCH_COMMAND_H_
#define LATCHKEY_CLIENTS_CTL_WATCH_COMMAND_H_

#include "clients/ctl/command_context.h"

namespace latchkey {

void AddWatchCommand(CLI::App& app, CommandContext& context);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_WATCH_COMMAND_H_
