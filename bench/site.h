// A place to measure at: a control plane that waits for its disk, and a broker.

#ifndef LATCHKEY_BENCH_SITE_H_
#define LATCHKEY_BENCH_SITE_H_

#include <memory>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <grpcpp/channel.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "core/clock.h"
#include "latchkey/v1/token_broker.pb.h"
#include "tests/e2e/broker_process.h"
#include "tests/e2e/test_pki.h"
#include "tests/testing/control_plane_process.h"
#include "tests/testing/temp_dir.h"

namespace latchkey_bench {

// Starts a control plane whose etcd waits for the disk. Who approves machines:
// Latchkey's broker or the cluster's own approver, never both.
enum class Approver { kLatchkey, kStock };
absl::StatusOr<std::unique_ptr<latchkey_testing::ControlPlane>>
StartControlPlane(Approver approver, double manager_qps);

// A control plane and a latchkeyd as an operator would run it.
class Site {
 public:
  // `more_policy` as in BrokerProcess::Options.
  static absl::StatusOr<std::unique_ptr<Site>> Start(
      double manager_qps = 0, const std::string& more_policy = "");

  const latchkey_testing::ControlPlane& cluster() const { return *cluster_; }
  const latchkey_testing::BrokerProcess& broker() const { return *broker_; }
  const latchkey_testing::TestPki& pki() const { return pki_; }

  // The API server as the broker sees it: its account, its own client code, and
  // connections of this client's own.
  absl::StatusOr<std::unique_ptr<latchkey::KubernetesClient>> BrokersClient()
      const;

  // A provisioner's connection, with its certificate.
  std::shared_ptr<grpc::Channel> ProvisionerChannel(
      const std::string& who = latchkey_testing::kAutoscaler) const;

 private:
  Site() = default;

  latchkey::SystemClock clock_;
  latchkey_testing::TestPki pki_;
  latchkey_testing::TempDir dir_;
  std::unique_ptr<latchkey_testing::ControlPlane> cluster_;
  std::unique_ptr<latchkey_testing::BrokerProcess> broker_;
};

// What a provisioner asks for: a ticket for the machine `node_name`.
latchkey::v1::IssueTokenRequest TicketRequest(const std::string& node_name,
                                              const std::string& request_id);
absl::StatusOr<latchkey::v1::IssueTokenResponse> IssueToken(
    const std::shared_ptr<grpc::Channel>& channel,
    const latchkey::v1::IssueTokenRequest& request);

// Mints `count` tickets, at most 1,000, in one call. An error if any item ended
// with one.
absl::Status IssueTokens(const std::shared_ptr<grpc::Channel>& channel,
                         const std::string& node_name, int count);

// Removes every bootstrap token of the cluster: what the rounds leave would
// make each slower than the one before.
absl::Status RemoveTokens(latchkey::KubernetesClient& client);

}  // namespace latchkey_bench

#endif  // LATCHKEY_BENCH_SITE_H_
