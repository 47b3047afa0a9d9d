#include "bench/peak_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <optional>

#include <absl/status/status.h>
#include <fmt/format.h>

namespace latchkey_bench {
namespace {

// After fork(2) in a program with threads: system calls only.
[[noreturn]] void RunTraced(char* const* arguments) {
  constexpr int kCannotRun = 127;
  ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  dup2(nowhere, STDIN_FILENO);
  dup2(nowhere, STDERR_FILENO);
  execv(arguments[0], arguments);
  _exit(kCannotRun);
}

// Waits for the next stop or the end of `pid`.
absl::StatusOr<int> Await(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return absl::InternalError("the command is lost");
  }
  return status;
}

bool IsExitStop(int status) {
  return status >> 8 == (SIGTRAP | (PTRACE_EVENT_EXIT << 8));
}

}  // namespace

absl::StatusOr<double> MemoryOf(pid_t pid, std::string_view field) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  const std::string begin = fmt::format("{}:", field);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(begin)) continue;
    return std::strtod(line.c_str() + begin.size(), nullptr) / 1024;
  }
  return absl::NotFoundError(
      fmt::format("/proc/{}/status has no {}", pid, field));
}

absl::StatusOr<double> PeakMemoryOf(const std::vector<std::string>& command) {
  std::vector<std::string> words = command;
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t pid = fork();
  if (pid < 0) return absl::InternalError("cannot fork");
  if (pid == 0) RunTraced(arguments.data());

  std::optional<double> peak;
  bool first_stop = true;
  while (true) {
    const absl::StatusOr<int> status = Await(pid);
    if (!status.ok()) return status.status();
    if (WIFEXITED(*status) || WIFSIGNALED(*status)) {
      if (*status == 0 && peak) return *peak;
      return absl::InternalError(
          fmt::format("{} ended with status {}", command[0], *status));
    }
    long deliver = 0;
    if (first_stop) {  // at the exec
      ptrace(PTRACE_SETOPTIONS, pid, nullptr,
             PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL);
      first_stop = false;
    } else if (IsExitStop(*status)) {
      const absl::StatusOr<double> found = MemoryOf(pid, "VmHWM");
      if (found.ok()) peak = *found;
    } else {
      deliver = WSTOPSIG(*status);
    }
    ptrace(PTRACE_CONT, pid, nullptr, deliver);
  }
}

}  // namespace latchkey_bench
