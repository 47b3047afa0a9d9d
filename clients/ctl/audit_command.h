// `latchkeyctl audit verify FILE...`: proves audit files, without a broker.

#ifndef LATCHKEY_CLIENTS_CTL_AUDIT_COMMAND_H_
#define LATCHKEY_CLIENTS_CTL_AUDIT_COMMAND_H_

#include "clients/ctl/command_context.h"

namespace latchkey {

// Prints what was proven, and where each chain ends. kPermissionDenied (exit
// code kRefused) if the files do not prove it: file, line and what is wrong.
void AddAuditCommand(CLI::App& app, CommandContext& context);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_AUDIT_COMMAND_H_
