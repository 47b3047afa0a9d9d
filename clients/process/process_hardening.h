// What a process that holds secrets does to itself first.

#ifndef LATCHKEY_CLIENTS_PROCESS_PROCESS_HARDENING_H_
#define LATCHKEY_CLIENTS_PROCESS_PROCESS_HARDENING_H_

namespace latchkey {

// No core dumps, no ptrace by other processes of the same user, files that are
// made are the owner's alone, and a broken pipe is an error instead of the end.
// Called before the first secret is read and the first thread is started.
void HardenProcess();

// The exit code of a program that has run out of memory.
inline constexpr int kOutOfMemory = 5;

// From now on a std::bad_alloc, which nobody catches, is one line on standard
// error and the end with kOutOfMemory. Whatever dies so goes on from what it
// left, as after kill -9. Not for the embedded control plane, which lets go of
// the one connection that asked for too much.
void EndWhenOutOfMemory();

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_PROCESS_PROCESS_HARDENING_H_
