// latchkeyctl from its arguments to its exit code.

#ifndef LATCHKEY_CLIENTS_CTL_RUN_CTL_H_
#define LATCHKEY_CLIENTS_CTL_RUN_CTL_H_

namespace latchkey {

// 0: done. 1: failed, and may succeed later. 2: the arguments or the
// configuration are wrong. 3: the broker refused.
int RunCtl(int argc, char** argv);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_RUN_CTL_H_
