// `latchkeyctl issue`: one token for one machine.

#ifndef LATCHKEY_CLIENTS_CTL_ISSUE_COMMAND_H_
#define LATCHKEY_CLIENTS_CTL_ISSUE_COMMAND_H_

#include "clients/ctl/command_context.h"

namespace latchkey {

void AddIssueCommand(CLI::App& app, CommandContext& context);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_ISSUE_COMMAND_H_
