// What is killed, and that the join completes without a person.

#include <signal.h>

#include <string>

#include "tests/e2e/join_test.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using latchkey::TokenState;

class FaultsE2eTest : public JoinTest {
 protected:
  // CSRs of the token, by their requester, that are approved.
  int ApprovedCsrsOf(const std::string& id) {
    const auto csrs =
        Admin().List<latchkey::kubernetes::CertificateSigningRequestList>({});
    EXPECT_THAT(csrs, IsOk());
    int approved = 0;
    for (const Csr& csr : csrs->items()) {
      if (csr.spec().username() != "system:bootstrap:" + id) continue;
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
  const auto broker = StartBroker();
  const std::string ticket = IssueTicket(*broker, "worker-killed");
  Machine machine("worker-killed");
  machine.UseTicket(pki(), broker->node_endpoint(), ticket);
  // A frozen broker holds the claim up until the test watches for it.
  broker->Signal(SIGSTOP);
  auto join = machine.StartJoin();
  ASSERT_THAT(join, IsOk());
  ASSERT_TRUE(WaitUntil([&] {
    return !ReadFile(machine.dir().File("pki/latchkey-join.key")).empty();
  }));
  broker->Signal(SIGCONT);
  ASSERT_TRUE(WaitUntil([&] {
    const auto token = Record(IdOf(ticket));
    return token.ok() && token->record.state != TokenState::kIssued;
  }));
  (*join)->Signal(SIGKILL);
  (*join)->AwaitExit(absl::Seconds(10));

  const ProgramResult again = machine.Join();
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(ApprovedCsrsOf(IdOf(ticket)), 1);
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
