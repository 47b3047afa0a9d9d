// `latchkeyctl extend`: more time for a machine that boots slowly.

#ifndef LATCHKEY_CLIENTS_CTL_EXTEND_COMMAND_H_
#define LATCHKEY_CLIENTS_CTL_EXTEND_COMMAND_H_

#include "clients/ctl/command_context.h"

namespace latchkey {

void AddExtendCommand(CLI::App& app, CommandContext& context);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_EXTEND_COMMAND_H_
