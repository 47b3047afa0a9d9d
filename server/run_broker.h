// latchkeyd from its arguments to its exit code. Everything but main() itself,
// so that tests can build it with a main() of their own.

#ifndef LATCHKEY_SERVER_RUN_BROKER_H_
#define LATCHKEY_SERVER_RUN_BROKER_H_

namespace latchkey {

// Runs until SIGTERM or SIGINT; SIGHUP reloads the policy. 0: stopped as asked.
// 1: could not start, or failed. 2: the arguments or the configuration are
// wrong.
int RunBroker(int argc, char** argv);

}  // namespace latchkey

#endif  // LATCHKEY_SERVER_RUN_BROKER_H_
