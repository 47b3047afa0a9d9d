// Machines that join a real cluster through real brokers: the fixture, and the
// vocabulary, of the end-to-end tests.

#ifndef LATCHKEY_TESTS_E2E_JOIN_TEST_H_
#define LATCHKEY_TESTS_E2E_JOIN_TEST_H_

#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <gmock/gmock.h>
#include <grpcpp/channel.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "crypto/private_key.h"
#include "latchkey/v1/node_bootstrap.pb.h"
#include "latchkey/v1/token_broker.pb.h"
#include "storage/token_record.h"
#include "tests/e2e/broker_process.h"
#include "tests/e2e/test_pki.h"
#include "tests/testing/control_plane.h"
#include "tests/testing/status_matchers.h"

namespace latchkey_testing {

using Csr = latchkey::kubernetes::CertificateSigningRequest;

// A machine's folder, and its latchkey-join.
class Machine {
 public:
  explicit Machine(std::string node_name) : node_name_(std::move(node_name)) {}

  // Writes join.yaml for the way by ticket or for the direct way.
  void UseTicket(const TestPki& pki, const std::string& broker,
                 const std::string& ticket) {
    UseTicket(pki.ca_file(), broker, ticket);
  }
  void UseTicket(const std::string& ca_file, const std::string& broker,
                 const std::string& ticket);
  void UseToken(const std::string& api_server, const std::string& ca_file,
                const std::string& token);

  // Runs latchkey-join to its end.
  ProgramResult Join() const;
  // Starts it and lets it run.
  absl::StatusOr<std::unique_ptr<ChildProcess>> StartJoin() const;

  std::string kubeconfig() const { return dir_.File("kubelet.conf"); }
  std::string current_pem() const {
    return dir_.File("pki/kubelet-client-current.pem");
  }
  const TempDir& dir() const { return dir_; }

 private:
  void WriteConfig(const std::string& credential) const;

  const std::string node_name_;
  TempDir dir_;
};

class JoinTest : public ControlPlaneTest {
 protected:
  explicit JoinTest(const ControlPlaneOptions& options = {});

  // Gives the cluster Latchkey's roles, and the broker a kubeconfig of its
  // ServiceAccount: nothing here works as an administrator unless it says so.
  void SetUp() override;
  // No secret that the test knows of may be in any log.
  void TearDown() override;

  std::unique_ptr<BrokerProcess> StartBroker(
      BrokerProcess::Options options = {});

  // gRPC calls, with the autoscaler's certificate or with none.
  std::shared_ptr<grpc::Channel> ProvisionerChannel(
      const BrokerProcess& broker, const std::string& who = kAutoscaler);
  std::shared_ptr<grpc::Channel> NodeChannel(const BrokerProcess& broker);
  absl::StatusOr<latchkey::v1::IssueTokenResponse> Issue(
      const std::shared_ptr<grpc::Channel>& channel,
      const latchkey::v1::IssueTokenRequest& request);
  absl::StatusOr<latchkey::v1::ClaimTokenResponse> Claim(
      const std::shared_ptr<grpc::Channel>& channel, const std::string& ticket,
      const std::string& node_name, const latchkey::PrivateKey& key);

  // A request for `node_name`, by ticket or direct.
  static latchkey::v1::IssueTokenRequest RequestFor(
      const std::string& node_name,
      latchkey::v1::Delivery delivery = latchkey::v1::DELIVERY_TICKET);
  // Issues and answers the ticket, or the direct token.
  std::string IssueTicket(const BrokerProcess& broker,
                          const std::string& node_name);
  std::string IssueDirect(const BrokerProcess& broker,
                          const std::string& node_name);

  // The API server as the administrator sees it, or with a bearer token.
  latchkey::KubernetesClient& Admin() { return *admin_; }
  std::unique_ptr<latchkey::KubernetesClient> ClientWithToken(
      const std::string& token) const;

  // What a kubelet would post; tests bend it.
  static Csr KubeletCsr(const std::string& name, const std::string& node_name,
                        const latchkey::PrivateKey& key);
  // Posts `csr` with a bootstrap token.
  void Post(const std::string& token, const Csr& csr) const;
  // Waits until the CSR is decided: "Approved <reason>" or "Denied <reason>".
  std::string DecisionOn(const std::string& name);
  // Waits until the CSR has a certificate.
  bool AwaitCertificate(const std::string& name);

  // The record of a token id, straight from its Secret.
  absl::StatusOr<latchkey::StoredToken> Record(const std::string& id);
  bool AwaitState(const std::string& id, latchkey::TokenState state,
                  absl::Duration timeout = absl::Seconds(30));

  // Every log is searched for it at the end.
  void KeepSecret(const std::string& secret) { secrets_.push_back(secret); }
  void SearchLater(const std::string& file) { logs_.push_back(file); }

  const TestPki& pki() const { return pki_; }
  std::string cluster_ca_file() { return cluster().Path("pki/ca.crt"); }
  std::string broker_kubeconfig() const {
    return dir_.File("broker.kubeconfig");
  }
  static latchkey::PrivateKey NewKey();

 private:
  TestPki pki_;
  TempDir dir_;
  std::unique_ptr<latchkey::KubernetesClient> admin_;
  std::vector<std::string> secrets_;
  std::vector<std::string> logs_;
};

// The id of a token or a ticket.
std::string IdOf(const std::string& credential);

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_E2E_JOIN_TEST_H_
