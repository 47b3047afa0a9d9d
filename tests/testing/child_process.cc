#include "tests/testing/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

#include "tests/testing/temp_dir.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

void Redirect(const std::string& file, int to) {
  const std::string path = file.empty() ? "/dev/null" : file;
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (fd < 0 || dup2(fd, to) < 0) _exit(126);
  close(fd);
}

}  // namespace

ChildProcess::ChildProcess(const Options& options) {
  std::vector<char*> argv;
  for (const std::string& argument : options.argv) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("cannot fork");
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, STDIN_FILENO);
    Redirect(options.stdout_file, STDOUT_FILENO);
    Redirect(options.stderr_file, STDERR_FILENO);
    for (const auto& [name, value] : options.environment) {
      setenv(name.c_str(), value.c_str(), 1);
    }
    execvp(argv[0], argv.data());
    _exit(127);
  }
}

ChildProcess::~ChildProcess() {
  if (!running()) return;
  kill(pid_, SIGKILL);
  Reap(0);
}

void ChildProcess::Signal(int signal) const { kill(pid_, signal); }

bool ChildProcess::Reap(int flags) {
  if (exit_code_.has_value()) return true;
  int status = 0;
  rusage usage{};
  if (wait4(pid_, &status, flags, &usage) != pid_) return false;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  peak_rss_kib_ = usage.ru_maxrss;
  return true;
}

bool ChildProcess::running() { return !Reap(WNOHANG); }

std::optional<int> ChildProcess::Wait(absl::Duration timeout) {
  WaitUntil([this] { return !running(); }, timeout);
  return exit_code_;
}

FinishedProcess RunProcess(ChildProcess::Options options,
                           absl::Duration timeout) {
  const TempDir dir;
  options.stdout_file = dir.File("out");
  options.stderr_file = dir.File("err");
  ChildProcess child(options);
  const std::optional<int> exit_code = child.Wait(timeout);
  return {.exit_code = exit_code.value_or(-1),
          .out = ReadFile(options.stdout_file),
          .err = ReadFile(options.stderr_file)};
}

}  // namespace latchkey_testing
