// A program that a test runs beside itself.

#ifndef LATCHKEY_TESTS_TESTING_CHILD_PROCESS_H_
#define LATCHKEY_TESTS_TESTING_CHILD_PROCESS_H_

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <absl/time/time.h>

namespace latchkey_testing {

// One running or ended child. It dies with the test program, whatever becomes
// of that one (PR_SET_PDEATHSIG). For one thread.
class ChildProcess {
 public:
  struct Options {
    std::vector<std::string> argv;
    // Added to the test's own environment.
    std::map<std::string, std::string> environment;
    // Files that standard output and standard error are written to; empty:
    // /dev/null.
    std::string stdout_file;
    std::string stderr_file;
  };

  // Throws if the program cannot be started at all.
  explicit ChildProcess(const Options& options);
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  // Kills it with SIGKILL if it still runs.
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  void Signal(int signal) const;

  // Waits for its end: the exit code, or 128 + the signal that ended it.
  // Nothing if it still runs after `timeout`.
  std::optional<int> Wait(absl::Duration timeout);
  bool running();

  // The largest resident set it had, in KiB; after Wait().
  long peak_rss_kib() const { return peak_rss_kib_; }

 private:
  bool Reap(int flags);

  pid_t pid_ = -1;
  std::optional<int> exit_code_;
  long peak_rss_kib_ = 0;
};

struct FinishedProcess {
  int exit_code = -1;
  std::string out;
  std::string err;
};

// Runs a program to its end and answers what it said; exit_code -1 after
// `timeout`.
FinishedProcess RunProcess(ChildProcess::Options options,
                           absl::Duration timeout = absl::Seconds(60));

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_TESTING_CHILD_PROCESS_H_
