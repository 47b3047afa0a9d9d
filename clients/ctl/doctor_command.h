// `latchkeyctl doctor`: looks at a cluster, and says what is wrong with it for
// Latchkey. It speaks to the API server, and to no broker.

#ifndef LATCHKEY_CLIENTS_CTL_DOCTOR_COMMAND_H_
#define LATCHKEY_CLIENTS_CTL_DOCTOR_COMMAND_H_

#include "clients/ctl/command_context.h"

namespace latchkey {

// Prints what it found. The exit code is the worst of it: 0 nothing worse than
// info, 1 a warning, 3 an error; 2, with nothing looked at, if the flags, the
// kubeconfig or broker.yaml are wrong; 128 and the signal's number if it was
// told to stop, and what --active made is removed then too.
//
// Run before the first thread is started.
void AddDoctorCommand(CLI::App& app, CommandContext& context);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_DOCTOR_COMMAND_H_
