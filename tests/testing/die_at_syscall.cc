// Runs a program, and kills it as it enters its Nth system call that touches a
// file or a socket, whichever of its threads that is.
//
//   die-at-syscall N[@CALL,...] PROGRAM [ARGUMENT]...
//
// With CALLs, numbers of system calls, only those of them count. How often a
// program reads from a socket differs from run to run, and with it which call
// is the Nth of all; how often it renames a file does not.
//
// The count begins when the program calls prctl, as ours do first thing: what
// the loader does before is nobody's business. The exit code is the program's
// own, or 137 if it was killed, and then standard error ends with the number of
// the system call. strace can inject signals too, but counts for each thread by
// itself, so that a thread's first calls hide behind those of another.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

namespace {

constexpr int kKilled = 128 + SIGKILL;

// Of those that the programs make: names, contents and modes of files, and what
// goes over sockets and the descriptors beside them.
bool TouchesFileOrSocket(uint64_t number) {
  constexpr auto kCalls = std::to_array<uint64_t>({
      // Files.
      SYS_openat,
      SYS_close,
      SYS_read,
      SYS_write,
      SYS_pread64,
      SYS_pwrite64,
      SYS_readv,
      SYS_writev,
      SYS_lseek,
      SYS_newfstatat,
      SYS_statx,
      SYS_fstatfs,
      SYS_fcntl,
      SYS_flock,
      SYS_fsync,
      SYS_fdatasync,
      SYS_ftruncate,
      SYS_fchmod,
      SYS_fchmodat,
      SYS_getdents64,
      SYS_linkat,
      SYS_mkdirat,
      SYS_readlinkat,
      SYS_renameat,
      SYS_renameat2,
      SYS_symlinkat,
      SYS_unlinkat,
      SYS_utimensat,
      SYS_ioctl,
      SYS_faccessat,
      SYS_faccessat2,
#ifdef SYS_open  // what newer architectures have only the forms above of
      SYS_open,
      SYS_stat,
      SYS_lstat,
      SYS_fstat,
      SYS_access,
      SYS_chmod,
      SYS_link,
      SYS_mkdir,
      SYS_readlink,
      SYS_rename,
      SYS_symlink,
      SYS_unlink,
      SYS_poll,
      SYS_epoll_wait,
#endif
      // Sockets.
      SYS_socket,
      SYS_socketpair,
      SYS_bind,
      SYS_connect,
      SYS_sendto,
      SYS_sendmsg,
      SYS_sendmmsg,
      SYS_recvfrom,
      SYS_recvmsg,
      SYS_setsockopt,
      SYS_getsockopt,
      SYS_getsockname,
      SYS_getpeername,
      SYS_shutdown,
      SYS_ppoll,
      SYS_epoll_create1,
      SYS_epoll_ctl,
      SYS_epoll_pwait,
      SYS_eventfd2,
  });
  return std::ranges::find(kCalls, number) != kCalls.end();
}

// Whether a system call of that number counts.
using Filter = std::function<bool(uint64_t)>;

// The filter that "N@CALL,..." names after its @; nullopt if it makes no sense.
std::optional<Filter> ReadFilter(const char* text) {
  if (*text == '\0') return TouchesFileOrSocket;
  if (*text != '@') return std::nullopt;
  std::vector<uint64_t> calls;
  do {
    char* end = nullptr;
    calls.push_back(strtoull(text + 1, &end, 10));
    if (end == text + 1) return std::nullopt;
    text = end;
  } while (*text == ',');
  if (*text != '\0') return std::nullopt;
  return [calls = std::move(calls)](uint64_t number) {
    return std::ranges::find(calls, number) != calls.end();
  };
}

// Kills the program at its `nth` call that counts; answers its exit code.
class Tracer {
 public:
  Tracer(pid_t program, long nth, Filter counts)
      : program_(program), nth_(nth), counts_(std::move(counts)) {}

  int Run() {
    while (true) {
      int status = 0;
      const pid_t thread = waitpid(-1, &status, __WALL);
      if (thread < 0) return kKilled;
      if (!WIFSTOPPED(status)) {
        if (thread != program_) continue;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      }
      int signal = 0;
      if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
        Judge(thread);
      } else if (status >> 16 == 0) {
        signal = WSTOPSIG(status);  // one for the program itself
      }
      ptrace(PTRACE_SYSCALL, thread, 0, signal);
    }
  }

 private:
  void Judge(pid_t thread) {
    __ptrace_syscall_info call = {};
    ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof call, &call);
    if (call.op != PTRACE_SYSCALL_INFO_ENTRY) return;
    if (call.entry.nr == SYS_prctl) counting_ = true;
    if (!counting_ || !counts_(call.entry.nr)) return;
    if (++calls_ != nth_) return;
    fprintf(stderr, "\nkilled at system call %d\n",
            static_cast<int>(call.entry.nr));
    kill(program_, SIGKILL);
  }

  const pid_t program_;
  const long nth_;
  const Filter counts_;
  bool counting_ = false;
  long calls_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  char* calls = nullptr;
  const long nth = strtol(argv[1], &calls, 10);
  const std::optional<Filter> counts = ReadFilter(calls);
  if (nth < 1 || !counts.has_value()) return 2;
  int gate[2];
  if (pipe(gate) != 0) return 2;
  const pid_t program = fork();
  if (program < 0) return 2;
  if (program == 0) {
    close(gate[1]);
    char ready = 0;
    if (read(gate[0], &ready, 1) == 1) {
      close(gate[0]);
      execv(argv[2], argv + 2);
    }
    _exit(127);
  }
  close(gate[0]);
  if (ptrace(PTRACE_SEIZE, program, 0,
             PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL) !=
          0 ||
      ptrace(PTRACE_INTERRUPT, program, 0, 0) != 0) {
    perror("die-at-syscall: cannot trace");
    kill(program, SIGKILL);
    return 126;
  }
  if (write(gate[1], "x", 1) != 1) return 2;
  return Tracer(program, nth, *counts).Run();
}
