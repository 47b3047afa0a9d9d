#include "clients/process/process_hardening.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

namespace latchkey {

void HardenProcess() {
  const rlimit no_core = {.rlim_cur = 0, .rlim_max = 0};
  setrlimit(RLIMIT_CORE, &no_core);
  prctl(PR_SET_DUMPABLE, 0);
  umask(077);
  signal(SIGPIPE, SIG_IGN);
}

}  // namespace latchkey
