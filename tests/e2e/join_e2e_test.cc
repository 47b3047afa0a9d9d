// The whole way: a machine joins with a Latchkey token, and the token is spent.

#include <signal.h>

#include <string>

#include <fmt/format.h>

#include "core/reasons.h"
#include "tests/e2e/join_test.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using latchkey::TokenState;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

class JoinE2eTest : public JoinTest {
 protected:
  // What the cluster says who the owner of `kubeconfig` is.
  std::string WhoAmI(const std::string& kubeconfig) {
    const ProgramResult result = cluster().Run(
        {"kubectl", "--kubeconfig", kubeconfig, "auth", "whoami"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  }
  // True once the API server refuses `token`: its cache of good tokens lasts
  // ten seconds.
  bool AwaitUnusable(const std::string& token) {
    const auto client = ClientWithToken(token);
    return WaitUntil([&] {
      return absl::IsUnauthenticated(
          client->Get<Csr>({"", "anything"}).status());
    });
  }
};

TEST_F(JoinE2eTest, AMachineJoinsWithATicketFromTheCommandLine) {
  const auto broker = StartBroker();
  const TempDir desk;
  const IdentityFiles identity =
      pki().Save("autoscaler", pki().Client(kAutoscaler));
  const std::string config = desk.Write(
      "latchkeyctl.yaml",
      fmt::format("broker: {{endpoint: \"{}\", ca_file: {}}}\n"
                  "identity: {{certificate_file: {}, private_key_file: {}}}\n",
                  broker->provisioner_endpoint(), pki().ca_file(),
                  identity.certificate, identity.private_key));
  const ProgramResult issued =
      RunProgram({BuiltProgram("latchkeyctl"), "--config", config, "issue",
                  "--node", "worker-cli"},
                 {});
  ASSERT_EQ(issued.exit_code, 0) << issued.err;
  const std::string ticket = issued.out.substr(0, issued.out.size() - 1);
  KeepSecret(ticket.substr(11, 32));
  EXPECT_EQ(issued.err.find(ticket), std::string::npos);

  Machine machine("worker-cli");
  machine.UseTicket(pki(), broker->node_endpoint(), ticket);
  const ProgramResult joined = machine.Join();
  ASSERT_EQ(joined.exit_code, 0) << joined.out << joined.err;
  EXPECT_THAT(joined.err, HasSubstr("knows the machine by its certificate"));
  EXPECT_THAT(
      WhoAmI(machine.kubeconfig()),
      AllOf(HasSubstr("system:node:worker-cli"), HasSubstr("system:nodes")));
  EXPECT_EQ((joined.out + joined.err).find(ticket), std::string::npos);

  // Spent: a tombstone with the certificate's fingerprint, and no way in.
  const std::string secret_before =
      std::string(Record(IdOf(ticket))->record.secret.Reveal());
  KeepSecret(secret_before);
  ASSERT_TRUE(AwaitState(IdOf(ticket), TokenState::kSpent));
  const latchkey::TokenRecord record = Record(IdOf(ticket))->record;
  EXPECT_NE(record.secret.Reveal(), secret_before);
  EXPECT_EQ(record.certificate->fingerprint.size(), 64U);
  EXPECT_TRUE(AwaitUnusable(IdOf(ticket) + "." + secret_before));

  // Running it again calls nobody: the broker may be gone.
  broker->Stop(SIGTERM);
  const ProgramResult again = machine.Join();
  EXPECT_EQ(again.exit_code, 0) << again.out << again.err;
}

TEST_F(JoinE2eTest, AMachineJoinsWithADirectToken) {
  const auto broker = StartBroker();
  const std::string token = IssueDirect(*broker, "worker-direct");
  Machine machine("worker-direct");
  machine.UseToken(cluster().url(), cluster_ca_file(), token);

  const ProgramResult joined = machine.Join();
  ASSERT_EQ(joined.exit_code, 0) << joined.out << joined.err;
  EXPECT_THAT(WhoAmI(machine.kubeconfig()),
              HasSubstr("system:node:worker-direct"));
  EXPECT_TRUE(AwaitState(IdOf(token), TokenState::kSpent));
  EXPECT_TRUE(AwaitUnusable(token));
}

TEST_F(JoinE2eTest, EveryKindOfKeyJoins) {
  const auto broker = StartBroker();
  for (const char* type : {"p384", "ed25519", "rsa2048"}) {
    SCOPED_TRACE(type);
    const std::string name = std::string("worker-") + type;
    Machine machine(name);
    machine.UseTicket(pki(), broker->node_endpoint(),
                      IssueTicket(*broker, name));
    machine.dir().Write("join.yaml", ReadFile(machine.dir().File("join.yaml")) +
                                         "key_type: " + type + "\n");
    const ProgramResult joined = machine.Join();
    ASSERT_EQ(joined.exit_code, 0) << joined.out << joined.err;
    EXPECT_THAT(WhoAmI(machine.kubeconfig()), HasSubstr("system:node:" + name));
  }
}

TEST_F(JoinE2eTest, KubeadmSeesOurTokensAndMayDeleteThem) {
  const auto broker = StartBroker();
  const std::string token = IssueDirect(*broker, "worker-kubeadm");
  const std::string ticket = IssueTicket(*broker, "worker-claimed");
  const latchkey::PrivateKey key = NewKey();
  const auto claimed =
      Claim(NodeChannel(*broker), ticket, "worker-claimed", key);
  ASSERT_THAT(claimed, IsOk());
  KeepSecret(claimed->bootstrap_token().substr(7));
  const ProgramResult list = cluster().Run({"kubeadm", "token", "list"});
  EXPECT_EQ(list.exit_code, 0) << list.err;
  EXPECT_THAT(list.out,
              ContainsRegex(token + " .* authentication  *Latchkey: one "
                                    "machine, worker-kubeadm  *"
                                    "system:bootstrappers:latchkey"));

  // A CSR that came while the token lived, and that the broker sees after it.
  broker->Signal(SIGSTOP);
  Post(token, KubeletCsr("kubeadm", "worker-kubeadm", NewKey()));
  for (const std::string& id : {IdOf(token), IdOf(ticket)}) {
    const ProgramResult removed =
        cluster().Run({"kubeadm", "token", "delete", id});
    ASSERT_EQ(removed.exit_code, 0) << removed.err;
  }
  broker->Signal(SIGCONT);
  EXPECT_EQ(DecisionOn("kubeadm"),
            "Denied " + std::string(latchkey::reason::kTokenUnknown));
  EXPECT_THAT(Claim(NodeChannel(*broker), ticket, "worker-claimed", key),
              ReasonIs(latchkey::reason::kTicketUnknown))
      << "the same claim is answered from the record, which is gone";
  EXPECT_TRUE(AwaitUnusable(token));
  EXPECT_THAT(Record(IdOf(token)), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(JoinE2eTest, TheCertificateLivesNoLongerThanTheScopeAllows) {
  const auto broker = StartBroker();
  latchkey::v1::IssueTokenRequest request = RequestFor("worker-short");
  request.mutable_scope()->mutable_max_certificate_lifetime()->set_seconds(
      1200);
  const auto issued = Issue(ProvisionerChannel(*broker), request);
  ASSERT_THAT(issued, IsOk());
  Machine machine("worker-short");
  machine.UseTicket(pki(), broker->node_endpoint(), issued->ticket());
  const ProgramResult joined = machine.Join();
  ASSERT_EQ(joined.exit_code, 0) << joined.out << joined.err;
  ASSERT_TRUE(AwaitState(issued->token().id(), TokenState::kSpent));
  EXPECT_LE(Record(issued->token().id())->record.certificate->not_after,
            absl::Now() + absl::Seconds(1200));
}

}  // namespace
}  // namespace latchkey_testing
