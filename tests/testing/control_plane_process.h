// A real Kubernetes control plane (etcd, kube-apiserver, controller manager),
// beside the program: see tests/controlplane. Whatever needs one, with or
// without GTest, starts it here.

#ifndef LATCHKEY_TESTS_TESTING_CONTROL_PLANE_PROCESS_H_
#define LATCHKEY_TESTS_TESTING_CONTROL_PLANE_PROCESS_H_

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "tests/testing/child_process.h"
#include "tests/testing/temp_dir.h"

namespace latchkey_testing {

struct ControlPlaneOptions {
  // Fraction of HTTP/2 requests after which the API server ends the connection;
  // at most 0.02.
  double goaway_chance = 0;
  // kubeadm's automatic approval of node CSRs.
  bool stock_approver = false;
  // The cluster's own remover of expired bootstrap tokens.
  bool token_cleaner = true;
  // The cluster's own remover of CSRs that were decided an hour ago.
  bool csr_cleaner = true;
  // Requests a second of each controller, the signer included; 0: the stock 20.
  double manager_qps = 0;
  // logs/audit.log of every request.
  bool audit = false;
  // etcd waits for the disk, as in a real cluster.
  bool durable = false;

  bool operator==(const ControlPlaneOptions&) const = default;
};

// One control plane, in a temporary folder. It dies with the program,
// however that ends.
class ControlPlane {
 public:
  // $LATCHKEY_CONTROLPLANE, the path of the program; empty if it is not set.
  static std::string ProgramPath();

  // Returns when the API server is ready. The error holds what the programs
  // complained of.
  static absl::StatusOr<std::unique_ptr<ControlPlane>> Start(
      const ControlPlaneOptions& options);

  ControlPlane(const ControlPlane&) = delete;
  ControlPlane& operator=(const ControlPlane&) = delete;
  ~ControlPlane();

  const ControlPlaneOptions& options() const { return options_; }
  // https://127.0.0.1:port
  const std::string& url() const { return url_; }
  // A file of the cluster's folder, e.g. "pki/ca.crt".
  std::string Path(std::string_view name) const { return dir_.File(name); }
  // Of a cluster administrator, with certificates by path or within the file.
  std::string admin_kubeconfig() const { return Path("admin.kubeconfig"); }

  // Runs kubectl or kubeadm (the first word) as the administrator.
  ProgramResult Run(const std::vector<std::string>& command) const;

  // `program` is etcd, kube-apiserver or kube-controller-manager. Killed, it is
  // started again after a second.
  absl::StatusOr<int> PidOf(std::string_view program) const;
  absl::Status Kill(std::string_view program, int signal) const;
  // Between these, a killed program stays down.
  void Hold(std::string_view program) const;
  void Release(std::string_view program) const;
  // Waits until the API server says that it is ready.
  absl::Status AwaitReady(absl::Duration timeout = absl::Minutes(1)) const;

  // What looks like errors in the logs, the last lines of each program, since
  // the last call.
  std::string TakeErrorLines();

 private:
  explicit ControlPlane(const ControlPlaneOptions& options)
      : options_(options) {}
  absl::Status AwaitStart(absl::Duration timeout);

  const ControlPlaneOptions options_;
  TempDir dir_;
  std::string url_;
  std::map<std::string, size_t> log_read_;    // by log file
  std::unique_ptr<ChildProcess> supervisor_;  // stops before the folder goes
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_TESTING_CONTROL_PLANE_PROCESS_H_
