// What is killed, and that the join completes without a person.

#include <signal.h>

#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "core/reasons.h"
#include "latchkey/v1/token_broker.grpc.pb.h"
#include "tests/e2e/join_test.h"
#include "tests/testing/fault_proxy.h"
#include "tests/testing/grpc_bytes.h"
#include "tests/testing/http_get.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using latchkey::TokenState;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr char kMetrics[] = "metrics:\n  listen: 127.0.0.1:0\n";

class FaultsE2eTest : public JoinTest {
 protected:
  // The token's CSRs, by their requester.
  std::vector<Csr> CsrsOf(const std::string& id) {
    const auto csrs =
        Admin().List<latchkey::kubernetes::CertificateSigningRequestList>({});
    EXPECT_THAT(csrs, IsOk());
    std::vector<Csr> of_token;
    for (const Csr& csr : csrs->items()) {
      if (csr.spec().username() == "system:bootstrap:" + id) {
        of_token.push_back(csr);
      }
    }
    return of_token;
  }
  int ApprovedCsrsOf(const std::string& id) {
    int approved = 0;
    for (const Csr& csr : CsrsOf(id)) {
      for (const auto& condition : csr.status().conditions()) {
        if (condition.type() == "Approved") ++approved;
      }
    }
    return approved;
  }
};

TEST_F(FaultsE2eTest,
       ABrokerKilledBetweenReserveAndApproveIsCompletedByTheNext) {
  auto dying =
      StartBroker({.program = "latchkeyd-with-faults",
                   .environment = {{"LATCHKEY_DIE_AT", "approver.reserved"}}});
  const std::string ticket = IssueTicket(*dying, "worker-fault");
  Machine machine("worker-fault");
  machine.UseTicket(pki(), dying->node_endpoint(), ticket);
  auto join = machine.StartJoin();
  ASSERT_THAT(join, IsOk());
  ASSERT_TRUE(AwaitState(IdOf(ticket), TokenState::kReserved));
  ASSERT_TRUE(WaitUntil([&] { return !dying->Running(); }));
  EXPECT_EQ(ApprovedCsrsOf(IdOf(ticket)), 0) << "it died before it approved";

  const auto next = StartBroker();
  EXPECT_EQ((*join)->AwaitExit(absl::Seconds(60)), 0)
      << ReadFile(machine.dir().File("join.log"));
  EXPECT_EQ(ApprovedCsrsOf(IdOf(ticket)), 1);
  EXPECT_TRUE(AwaitState(IdOf(ticket), TokenState::kSpent));
}

TEST_F(FaultsE2eTest, AnApiServerKilledInTheMiddleOfAJoinStrandsNobody) {
  const auto broker = StartBroker();
  const std::string ticket = IssueTicket(*broker, "worker-restart");
  Machine machine("worker-restart");
  machine.UseTicket(pki(), broker->node_endpoint(), ticket);
  // Without the signer the join stands still after its approval.
  cluster().Hold("kube-controller-manager");
  ASSERT_THAT(cluster().Kill("kube-controller-manager", SIGKILL), IsOk());
  auto join = machine.StartJoin();
  ASSERT_THAT(join, IsOk());
  ASSERT_TRUE(AwaitState(IdOf(ticket), TokenState::kReserved));

  ASSERT_THAT(cluster().Kill("kube-apiserver", SIGKILL), IsOk());
  ASSERT_THAT(cluster().AwaitReady(), IsOk());
  cluster().Release("kube-controller-manager");
  EXPECT_EQ((*join)->AwaitExit(absl::Seconds(90)), 0)
      << ReadFile(machine.dir().File("join.log"));
  EXPECT_EQ(ApprovedCsrsOf(IdOf(ticket)), 1);
  EXPECT_TRUE(AwaitState(IdOf(ticket), TokenState::kSpent));
}

TEST_F(FaultsE2eTest, AMachineKilledAfterItsClaimJoinsOnItsNextRun) {
  const auto broker = StartBroker({.more_config = kMetrics});
  FaultProxy network({broker->node_port()}, 1);
  const std::string ticket = IssueTicket(*broker, "worker-killed");
  Machine machine("worker-killed");
  machine.UseTicket(pki(), fmt::format("127.0.0.1:{}", network.port()), ticket);
  // The claim is under way, and stands still before the record is written.
  ASSERT_THAT(cluster().Kill("kube-apiserver", SIGSTOP), IsOk());
  auto join = machine.StartJoin();
  ASSERT_THAT(join, IsOk());
  ASSERT_TRUE(WaitUntil([&] {
    return HttpGet(broker->metrics_port(), "/metrics")
               .find("latchkey_calls_running{port=\"node\"} 1\n") !=
           std::string::npos;
  }));
  // It is done, and the machine dies before it hears of it.
  network.HoldAnswers(true);
  ASSERT_THAT(cluster().Kill("kube-apiserver", SIGCONT), IsOk());
  ASSERT_TRUE(AwaitState(IdOf(ticket), TokenState::kActive));
  const auto claimed = Record(IdOf(ticket));
  ASSERT_THAT(claimed, IsOk());
  (*join)->Signal(SIGKILL);
  (*join)->AwaitExit(absl::Seconds(10));
  EXPECT_THAT(CsrsOf(IdOf(ticket)), IsEmpty()) << "it had the answer";

  // By the same key it gets the same answer, and another key gets none.
  network.HoldAnswers(false);
  const latchkey::PrivateKey key =
      latchkey::PrivateKey::FromPem(
          ReadFile(machine.dir().File("pki/latchkey-join.key")))
          .value();
  const auto same = Claim(NodeChannel(*broker), ticket, "worker-killed", key);
  ASSERT_THAT(same, IsOk());
  KeepSecret(same->bootstrap_token().substr(7));
  EXPECT_EQ(same->bootstrap_token(),
            IdOf(ticket) + "." + std::string(claimed->record.secret.Reveal()));
  EXPECT_THAT(Claim(NodeChannel(*broker), ticket, "worker-killed", NewKey()),
              ReasonIs(latchkey::reason::kTicketAlreadyClaimed));

  const ProgramResult again = machine.Join();
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(ApprovedCsrsOf(IdOf(ticket)), 1);
}

TEST_F(FaultsE2eTest, TheBrokersHealthIsThatOfItsCluster) {
  const auto broker = StartBroker({.more_config = kMetrics});
  const auto provisioners = ProvisionerChannel(*broker);
  const auto nodes = NodeChannel(*broker);
  const auto serving = [&](int health, const std::string& ready) {
    return WaitUntil([&] {
      return HealthOf(provisioners, "latchkey.v1.TokenBroker") == health &&
             HealthOf(provisioners, "") == health &&
             HealthOf(nodes, "latchkey.v1.NodeBootstrap") == health &&
             HttpGet(broker->metrics_port(), "/readyz").substr(9, 3) == ready;
    });
  };
  EXPECT_TRUE(serving(1, "200"));
  cluster().Hold("kube-apiserver");
  ASSERT_THAT(cluster().Kill("kube-apiserver", SIGKILL), IsOk());
  EXPECT_TRUE(serving(2, "503"));
  // It lives all the same.
  EXPECT_THAT(HttpGet(broker->metrics_port(), "/healthz"),
              StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(HttpGet(broker->metrics_port(), "/metrics"),
              HasSubstr("latchkey_watch_fresh{watch=\"records\"} 0\n"));
  cluster().Release("kube-apiserver");
  ASSERT_THAT(cluster().AwaitReady(), IsOk());
  EXPECT_TRUE(serving(1, "200"));

  // One that hangs keeps the watches' connections, and says nothing on them.
  const auto reachable = [&](const char* is) {
    return HttpGet(broker->metrics_port(), "/metrics")
               .find(std::string("latchkey_api_server_reachable ") + is) !=
           std::string::npos;
  };
  EXPECT_TRUE(reachable("1\n"));
  ASSERT_THAT(cluster().Kill("kube-apiserver", SIGSTOP), IsOk());
  EXPECT_TRUE(serving(2, "503"));
  EXPECT_TRUE(reachable("0\n"));
  ASSERT_THAT(cluster().Kill("kube-apiserver", SIGCONT), IsOk());
  EXPECT_TRUE(serving(1, "200"));
}

TEST_F(FaultsE2eTest, TheSameKeyMayClaimAgainAfterAKill) {
  const auto broker = StartBroker();
  const std::string ticket = IssueTicket(*broker, "worker-again");
  const latchkey::PrivateKey key = NewKey();
  const auto first = Claim(NodeChannel(*broker), ticket, "worker-again", key);
  ASSERT_THAT(first, IsOk());
  KeepSecret(first->bootstrap_token().substr(7));
  broker->Stop(SIGKILL);
  const auto next = StartBroker();
  const auto second = Claim(NodeChannel(*next), ticket, "worker-again", key);
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(second->bootstrap_token(), first->bootstrap_token());
  EXPECT_EQ(second->expire_time().seconds(), first->expire_time().seconds());
}

}  // namespace
}  // namespace latchkey_testing
