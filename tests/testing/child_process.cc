#include "tests/testing/child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <system_error>
#include <utility>

#include <absl/status/status.h>
#include <absl/time/clock.h>
#include <fmt/format.h>

#include "tests/testing/temp_dir.h"

extern char** environ;

namespace latchkey_testing {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);

std::string ErrorText(int error) {
  return std::generic_category().message(error);
}

// The environment with the changes made, as "NAME=value".
std::vector<std::string> Environment(
    const std::map<std::string, std::string>& changes) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!changes.contains(text.substr(0, text.find('=')))) {
      result.push_back(text);
    }
  }
  for (const auto& [name, value] : changes) {
    result.push_back(fmt::format("{}={}", name, value));
  }
  return result;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// What happens between fork and exec.
class SpawnPlan {
 public:
  SpawnPlan() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    // Whatever the test's thread blocks, the program starts with nothing
    // blocked.
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }

  void UseAsStdin(int fd) {
    posix_spawn_file_actions_adddup2(&actions_, fd, STDIN_FILENO);
  }
  void SendOutput(int fd, const std::string& path) {
    if (path.empty()) {
      posix_spawn_file_actions_adddup2(&actions_, STDERR_FILENO, fd);
    } else {
      posix_spawn_file_actions_addopen(&actions_, fd, path.c_str(),
                                       O_WRONLY | O_CREAT | O_APPEND, 0600);
    }
  }
  int Spawn(std::vector<std::string> command,
            std::vector<std::string> environment, pid_t& pid) {
    return posix_spawnp(&pid, command[0].c_str(), &actions_, &attributes_,
                        Pointers(command).data(), Pointers(environment).data());
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(
    const std::vector<std::string>& command, const ProcessOptions& options) {
  int pipe_fds[2];
  // Close-on-exec: no other program that the test starts may hold it open.
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
    return absl::InternalError(fmt::format("pipe: {}", ErrorText(errno)));
  }
  SpawnPlan plan;
  plan.UseAsStdin(pipe_fds[0]);
  plan.SendOutput(STDOUT_FILENO, options.stdout_path);
  plan.SendOutput(STDERR_FILENO, options.stderr_path);
  pid_t pid = 0;
  const int error = plan.Spawn(command, Environment(options.environment), pid);
  close(pipe_fds[0]);
  if (error != 0) {
    close(pipe_fds[1]);
    return absl::InternalError(
        fmt::format("{}: {}", command[0], ErrorText(error)));
  }
  return std::unique_ptr<ChildProcess>(new ChildProcess(pid, pipe_fds[1]));
}

ChildProcess::~ChildProcess() {
  CloseStdin();
  if (AwaitExit(kPatience)) return;
  Signal(SIGKILL);
  AwaitExit(absl::InfiniteDuration());
}

void ChildProcess::Signal(int signal) const {
  if (!exit_) kill(pid_, signal);
}

void ChildProcess::CloseStdin() {
  if (stdin_fd_ >= 0) close(std::exchange(stdin_fd_, -1));
}

std::optional<int> ChildProcess::AwaitExit(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!exit_) {
    int status = 0;
    const pid_t ended = waitpid(pid_, &status, WNOHANG);
    if (ended == pid_) {
      exit_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    } else if (ended < 0 && errno != EINTR) {
      exit_ = -1;
    } else if (absl::Now() >= deadline) {
      return std::nullopt;
    } else {
      absl::SleepFor(absl::Milliseconds(5));
    }
  }
  return exit_;
}

ProgramResult RunProgram(const std::vector<std::string>& command,
                         const std::map<std::string, std::string>& environment,
                         absl::Duration timeout) {
  const TempDir dir;
  ProgramResult result;
  auto process = ChildProcess::Start(command, {.environment = environment,
                                               .stdout_path = dir.File("out"),
                                               .stderr_path = dir.File("err")});
  if (!process.ok()) {
    result.err = process.status().ToString();
    return result;
  }
  (*process)->CloseStdin();
  const std::optional<int> exit_code = (*process)->AwaitExit(timeout);
  if (!exit_code) (*process)->Signal(SIGKILL);
  result.out = ReadFile(dir.File("out"));
  result.err = ReadFile(dir.File("err"));
  if (exit_code) {
    result.exit_code = *exit_code;
  } else {
    result.err += "\nkilled: it took too long";
  }
  return result;
}

}  // namespace latchkey_testing
