// Programs that a test starts.

#ifndef LATCHKEY_TESTS_TESTING_CHILD_PROCESS_H_
#define LATCHKEY_TESTS_TESTING_CHILD_PROCESS_H_

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

namespace latchkey_testing {

struct ProcessOptions {
  // Added to, or put in place of, the test's own environment.
  std::map<std::string, std::string> environment;
  // Files for the output; empty: the test's own standard error.
  std::string stdout_path;
  std::string stderr_path;
};

// A running program. It is told to end by the end of its standard input, which
// this holds open, and is killed by the destructor if it does not heed that.
// A test that dies closes the pipe too.
class ChildProcess {
 public:
  // `command[0]` is a path, or a name to look up in PATH.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(
      const std::vector<std::string>& command,
      const ProcessOptions& options = {});

  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  void Signal(int signal) const;
  void CloseStdin();
  // The exit code, or 128 + the signal's number; nullopt if it still runs after
  // `timeout`.
  std::optional<int> AwaitExit(absl::Duration timeout);

 private:
  ChildProcess(pid_t pid, int stdin_fd) : pid_(pid), stdin_fd_(stdin_fd) {}

  const pid_t pid_;
  int stdin_fd_;
  std::optional<int> exit_;
};

struct ProgramResult {
  int exit_code = -1;
  std::string out;
  std::string err;
};

// Runs a program to its end, with nothing to read. Exit code -1, with the
// reason in `err`, if it cannot be started or outlives `timeout`.
ProgramResult RunProgram(const std::vector<std::string>& command,
                         const std::map<std::string, std::string>& environment,
                         absl::Duration timeout = absl::Minutes(1));

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_TESTING_CHILD_PROCESS_H_
