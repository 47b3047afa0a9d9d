// A cluster as a joining node sees it: API servers that know it by its token,
// an approver and a signer. The state is a FakeKubernetesClient's.
//
// The approver and the signer act when a watcher is idle, so that what they do
// reaches it as events. An idle watch costs time on the FakePace, not real
// time.

#ifndef LATCHKEY_TESTS_CLIENTS_NODE_FAKE_CLUSTER_H_
#define LATCHKEY_TESTS_CLIENTS_NODE_FAKE_CLUSTER_H_

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "clients/kubernetes/kubernetes_client.h"
#include "clients/node/cluster_session.h"
#include "crypto/certificate_authority.h"
#include "tests/clients/pace/fake_pace.h"
#include "tests/fakes/fake_kubernetes_client.h"
#include "tests/testing/fake_clock.h"

namespace latchkey_testing {

using Csr = latchkey::kubernetes::CertificateSigningRequest;

class FakeCluster {
 public:
  // What becomes of a CSR.
  enum class Fate { kIssued, kDenied, kFailed, kNothing };

  // Both must outlive this.
  FakeCluster(FakeClock& clock, FakePace& pace);

  latchkey::KubernetesClientFactory Factory();
  const std::string& ca_pem() const { return ca_.certificate_pem(); }

  // The object store behind all API servers.
  FakeKubernetesClient& server() { return server_; }
  std::vector<Csr> Requests();

  // Does to the CSR what its fate is.
  void Decide(const std::string& csr_name);

  Fate fate = Fate::kIssued;
  // Amends what the signer is about to sign.
  std::function<void(latchkey::CertificateProfile&)> amend;
  // The signer certifies this key's request instead of the node's.
  std::string sign_instead;
  // URLs at which nobody answers.
  std::set<std::string> down;
  // Watches stay open and never tell anything.
  bool watches_are_dead = false;
  // Runs each time that a watch has nothing to tell, before fate does.
  std::function<void()> on_idle;
  // URLs that clients were made for, in order.
  std::vector<std::string> logins;
  // The users behind the requests that were made.
  std::vector<std::string> users;

 private:
  FakeClock& clock_;
  FakePace& pace_;
  FakeKubernetesClient server_;
  latchkey::CertificateAuthority ca_;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_CLIENTS_NODE_FAKE_CLUSTER_H_
