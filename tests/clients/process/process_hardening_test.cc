#include "clients/process/process_hardening.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <new>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace latchkey {
namespace {

// A user who owns nothing: root may read every process, hardened or not.
bool BecomeNobody() {
  constexpr uid_t kNobody = 65534;
  if (geteuid() == 0 && (setgroups(0, nullptr) != 0 || setgid(kNobody) != 0 ||
                         setuid(kNobody) != 0)) {
    return false;
  }
  // Whoever changed its user is hardened a little already.
  return prctl(PR_SET_DUMPABLE, 1) == 0;
}

// Runs `body` in a process of its own, as nobody; answers what it answers.
int InProcess(const std::function<int()>& body) {
  const pid_t pid = fork();
  if (pid == 0) _exit(BecomeNobody() ? body() : 99);
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Whether another process of the same user can open what is in the memory of
// this one.
bool OthersMayRead(const char* file) {
  const std::string path = fmt::format("/proc/{}/{}", getpid(), file);
  const pid_t other = fork();
  if (other == 0) {
    // Hardening is inherited; the other is any process of the user.
    prctl(PR_SET_DUMPABLE, 1);
    _exit(open(path.c_str(), O_RDONLY | O_CLOEXEC) >= 0 ? 1 : 0);
  }
  int status = 0;
  waitpid(other, &status, 0);
  return status != 0;
}

TEST(ProcessHardeningTest, OthersOfTheSameUserCannotReadTheMemory) {
  EXPECT_EQ(InProcess([] { return OthersMayRead("environ") ? 0 : 1; }), 0)
      << "without it, they can";
  EXPECT_EQ(InProcess([] {
              HardenProcess();
              return OthersMayRead("environ") || OthersMayRead("mem") ? 1 : 0;
            }),
            0);
}

TEST(ProcessHardeningTest, ACrashLeavesNoCore) {
  EXPECT_EQ(InProcess([] {
              HardenProcess();
              rlimit core = {};
              getrlimit(RLIMIT_CORE, &core);
              if (core.rlim_cur != 0 || core.rlim_max != 0) return 1;
              return prctl(PR_GET_DUMPABLE) == 0 ? 0 : 2;
            }),
            0);
}

TEST(ProcessHardeningTest, WhatItWritesIsTheOwnersAlone) {
  EXPECT_EQ(InProcess([] {
              HardenProcess();
              return static_cast<int>(umask(0));
            }),
            077);
}

TEST(ProcessHardeningTest, ABrokenPipeIsAnErrorAndNotTheEnd) {
  EXPECT_EQ(InProcess([] {
              HardenProcess();
              raise(SIGPIPE);
              return 0;
            }),
            0);
}

TEST(ProcessHardeningTest, OutOfMemoryIsSaidInALineAndIsTheEnd) {
  int said[2];
  ASSERT_EQ(pipe(said), 0);
  const int code = InProcess([&] {
    dup2(said[1], STDERR_FILENO);
    EndWhenOutOfMemory();
    std::get_new_handler()();
    return 0;
  });
  close(said[1]);
  std::array<char, 200> line = {};
  const ssize_t size = read(said[0], line.data(), line.size());
  close(said[0]);
  EXPECT_EQ(code, kOutOfMemory);
  EXPECT_EQ(
      std::string(line.data(), static_cast<size_t>(std::max<ssize_t>(size, 0))),
      fmt::format("{}: out of memory; run it again\n",
                  program_invocation_short_name));
}

}  // namespace
}  // namespace latchkey
