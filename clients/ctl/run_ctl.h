// latchkeyctl from its arguments to its exit code.

#ifndef LATCHKEY_CLIENTS_CTL_RUN_CTL_H_
#define LATCHKEY_CLIENTS_CTL_RUN_CTL_H_

#include <string>
#include <vector>

#include "clients/ctl/command_context.h"

namespace latchkey {

// 0: done. 1: failed, and may succeed later. 2: the arguments or the
// configuration are wrong. 3: the broker refused. 4: of several tokens some
// were done and some were not (batch, revoke by flags); run it again. Those of
// `latchkeyctl doctor` are in doctor_command.h.
int RunCtl(int argc, char** argv);

// The same of arguments without the program's name, with everything that it
// works with handed in.
int RunCtl(const std::vector<std::string>& arguments, CommandContext& context);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_RUN_CTL_H_
