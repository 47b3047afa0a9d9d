#include "clients/process/process_hardening.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <new>
#include <string_view>

namespace latchkey {
namespace {

// Without an allocation, and without destructors, which may make some.
[[noreturn]] void SayAndEnd() {
  static constexpr std::string_view kText = ": out of memory; run it again\n";
  std::string_view name = program_invocation_short_name;
  const std::array<iovec, 2> line = {{
      {const_cast<char*>(name.data()), name.size()},
      {const_cast<char*>(kText.data()), kText.size()},
  }};
  // To whom else could it be told that this failed?
  [[maybe_unused]] const ssize_t written =
      writev(STDERR_FILENO, line.data(), static_cast<int>(line.size()));
  _exit(kOutOfMemory);
}

}  // namespace

void HardenProcess() {
  const rlimit no_core = {.rlim_cur = 0, .rlim_max = 0};
  setrlimit(RLIMIT_CORE, &no_core);
  prctl(PR_SET_DUMPABLE, 0);
  umask(077);
  signal(SIGPIPE, SIG_IGN);
}

void EndWhenOutOfMemory() { std::set_new_handler(SayAndEnd); }

}  // namespace latchkey
