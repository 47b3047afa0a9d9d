// A cluster that KubernetesContract observes: the embedded one, behind either
// of its faces, or the real one.

#ifndef LATCHKEY_TESTS_DEVCLUSTER_CLUSTER_UNDER_TEST_H_
#define LATCHKEY_TESTS_DEVCLUSTER_CLUSTER_UNDER_TEST_H_

#include <memory>
#include <ostream>
#include <string>

#include "clients/kubernetes/kubernetes_client.h"
#include "crypto/certificate_authority.h"

namespace latchkey_testing {

// Its controllers run: those that sign and clean up, and no approver. The roles
// of deploy/kubernetes/rbac.yaml are there, and kube-public/cluster-info.
// The cluster outlives its clients.
class ClusterUnderTest {
 public:
  ClusterUnderTest() = default;
  ClusterUnderTest(const ClusterUnderTest&) = delete;
  ClusterUnderTest& operator=(const ClusterUnderTest&) = delete;
  virtual ~ClusterUnderTest() = default;

  // A member of system:masters.
  virtual latchkey::KubernetesClient& Admin() = 0;
  virtual std::unique_ptr<latchkey::KubernetesClient> WithToken(
      const std::string& bearer_token) = 0;
  virtual std::unique_ptr<latchkey::KubernetesClient> WithCertificate(
      const latchkey::IssuedIdentity& identity) = 0;
  virtual std::unique_ptr<latchkey::KubernetesClient> Anonymous() = 0;
  // The authority of client certificates.
  virtual const latchkey::CertificateAuthority& ca() = 0;

  // Lets controllers that have no thread of their own do what there is to do.
  virtual void StepControllers() {}
  // What happened so far is too old from now on, for watches and for pages.
  virtual void ForgetHistory() = 0;
};

// How a test program comes by one. `open` may fail or skip the test that is
// running, and leaves `cluster` alone then; a cluster is shared by all tests of
// the program.
struct ClusterKind {
  const char* name;
  void (*open)(ClusterUnderTest*& cluster);
};
inline std::ostream& operator<<(std::ostream& stream, const ClusterKind& kind) {
  return stream << kind.name;
}

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_DEVCLUSTER_CLUSTER_UNDER_TEST_H_
