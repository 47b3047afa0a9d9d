// `latchkeyd dev` from its flags to its exit code.

#ifndef LATCHKEY_SERVER_RUN_DEV_H_
#define LATCHKEY_SERVER_RUN_DEV_H_

#include <string>

namespace latchkey {

// As typed.
struct DevFlags {
  // Empty: a folder of its own under $TMPDIR, removed at the end.
  std::string data_dir;
  std::string listen = "127.0.0.1:9443";
  bool stock_approver = false;
  // A name of LogLevelNamed().
  std::string log_level = "warning";
};

// Runs until SIGTERM or SIGINT. Exit codes as RunBroker's.
int RunDev(const DevFlags& flags);

}  // namespace latchkey

#endif  // LATCHKEY_SERVER_RUN_DEV_H_
