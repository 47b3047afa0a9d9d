// `latchkeyctl revoke`: cuts tokens off.

#ifndef LATCHKEY_CLIENTS_CTL_REVOKE_COMMAND_H_
#define LATCHKEY_CLIENTS_CTL_REVOKE_COMMAND_H_

#include "clients/ctl/command_context.h"

namespace latchkey {

void AddRevokeCommand(CLI::App& app, CommandContext& context);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_REVOKE_COMMAND_H_
