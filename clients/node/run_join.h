// The program latchkey-join.

#ifndef LATCHKEY_CLIENTS_NODE_RUN_JOIN_H_
#define LATCHKEY_CLIENTS_NODE_RUN_JOIN_H_

namespace latchkey {

// Runs the program and answers its exit code, a JoinVerdict. Once a process:
// it sets the umask and ignores SIGPIPE for all of it.
int RunJoin(int argc, char** argv);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_NODE_RUN_JOIN_H_
