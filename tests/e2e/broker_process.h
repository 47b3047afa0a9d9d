// A real latchkeyd, beside the test.

#ifndef LATCHKEY_TESTS_E2E_BROKER_PROCESS_H_
#define LATCHKEY_TESTS_E2E_BROKER_PROCESS_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "tests/e2e/test_pki.h"
#include "tests/testing/child_process.h"
#include "tests/testing/control_plane_process.h"
#include "tests/testing/temp_dir.h"

namespace latchkey_testing {

class BrokerProcess {
 public:
  struct Options {
    std::string kubeconfig;
    // Beyond the default policy: YAML rules, indented as list items under
    // `policy:`.
    std::string more_policy;
    // Further sections of the configuration.
    std::string more_config;
    std::string join_window = "15m";
    std::string fetch_grace = "2s";
    // The program in the build's bin folder.
    std::string program = "latchkeyd";
    std::map<std::string, std::string> environment;
    // The most files that it may have open; 0: as many as the test.
    int open_files = 0;
    std::string log_level = "debug";
    // 0: any free one.
    int provisioner_port = 0;
    int node_port = 0;
  };

  // Starts it and waits until it listens and its watches are up. Throws, with
  // its log, if it does not come up.
  BrokerProcess(const TestPki& pki, const Options& options);
  BrokerProcess(const BrokerProcess&) = delete;
  BrokerProcess& operator=(const BrokerProcess&) = delete;
  ~BrokerProcess();

  int provisioner_port() const { return provisioner_port_; }
  int node_port() const { return node_port_; }
  // 0 without a section `metrics`.
  int metrics_port() const { return metrics_port_; }
  std::string provisioner_endpoint() const {
    return "localhost:" + std::to_string(provisioner_port_);
  }
  std::string node_endpoint() const {
    return "localhost:" + std::to_string(node_port_);
  }
  // Ends it with `signal` and waits until it is gone.
  void Stop(int signal);
  // Starts it again after Stop(), as it was started, and does not wait for it.
  // Throws if there is no such program. The thread that calls this must live as
  // long as the broker is to.
  void StartAgain();
  void Signal(int signal) const { process_->Signal(signal); }
  // Its exit code, or 128 + the signal's number, once it has ended.
  std::optional<int> AwaitExit() const {
    return process_->AwaitExit(absl::Seconds(20));
  }
  bool Running() {
    return !process_->AwaitExit(absl::ZeroDuration()).has_value();
  }
  pid_t pid() const { return process_->pid(); }
  std::string Log() const { return ReadFile(log_file_); }
  std::string log_file() const { return log_file_; }
  std::string config_file() const { return dir_.File("broker.yaml"); }

 private:
  TempDir dir_;
  std::string log_file_ = dir_.File("broker.log");
  std::vector<std::string> command_;
  std::map<std::string, std::string> environment_;
  std::unique_ptr<ChildProcess> process_;
  int provisioner_port_ = 0;
  int node_port_ = 0;
  int metrics_port_ = 0;
};

// Gives the cluster Latchkey's roles, and puts into `dir` a kubeconfig of the
// broker's ServiceAccount, broker.kubeconfig, and its token, broker.token.
// Answers the path of the kubeconfig.
absl::StatusOr<std::string> GrantBrokerAccess(const ControlPlane& cluster,
                                              const TempDir& dir);

// The program `name` of this build.
std::string BuiltProgram(const std::string& name);

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_E2E_BROKER_PROCESS_H_
