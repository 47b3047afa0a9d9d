// A real `latchkeyd dev` beside the test: a broker and its cluster, which are
// there within a second.

#ifndef LATCHKEY_TESTS_E2E_DEV_PROCESS_H_
#define LATCHKEY_TESTS_E2E_DEV_PROCESS_H_

#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "storage/token_record.h"
#include "tests/testing/child_process.h"
#include "tests/testing/temp_dir.h"

namespace latchkey_testing {

class DevProcess {
 public:
  // Returns when it is ready. Throws, with its log, if it does not come up.
  DevProcess();
  DevProcess(const DevProcess&) = delete;
  DevProcess& operator=(const DevProcess&) = delete;
  ~DevProcess();

  // A file of its folder, such as "ca.crt" or "admin.kubeconfig".
  std::string Path(const std::string& name) const {
    return dir_.File("site/" + name);
  }
  const std::string& node_endpoint() const { return node_endpoint_; }
  pid_t pid() const { return process_->pid(); }

  // A ticket for `node_name`; empty, with the reason on standard error, if none
  // was given.
  std::string Ticket(const std::string& node_name) const;

  // What the cluster's administrator sees.
  latchkey::KubernetesClient& Admin() { return *admin_; }
  absl::StatusOr<latchkey::StoredToken> Record(const std::string& token_id);
  // The certificate requests that were made with the token.
  std::vector<latchkey::kubernetes::CertificateSigningRequest> RequestsOf(
      const std::string& token_id);

 private:
  TempDir dir_;
  std::unique_ptr<ChildProcess> process_;
  std::unique_ptr<latchkey::KubernetesClient> admin_;
  std::string node_endpoint_;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_E2E_DEV_PROCESS_H_
