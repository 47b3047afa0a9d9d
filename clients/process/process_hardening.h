// What a process that holds secrets does to itself first.

#ifndef LATCHKEY_CLIENTS_PROCESS_PROCESS_HARDENING_H_
#define LATCHKEY_CLIENTS_PROCESS_PROCESS_HARDENING_H_

namespace latchkey {

// No core dumps, no ptrace by other processes of the same user, files that are
// made are the owner's alone, and a broken pipe is an error instead of the end.
// Called before the first secret is read and the first thread is started.
void HardenProcess();

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_PROCESS_PROCESS_HARDENING_H_
