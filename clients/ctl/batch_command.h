// `latchkeyctl batch`: tokens for many machines, from a file.

#ifndef LATCHKEY_CLIENTS_CTL_BATCH_COMMAND_H_
#define LATCHKEY_CLIENTS_CTL_BATCH_COMMAND_H_

#include "clients/ctl/command_context.h"

namespace latchkey {

void AddBatchCommand(CLI::App& app, CommandContext& context);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_BATCH_COMMAND_H_
