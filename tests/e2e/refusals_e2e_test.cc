// What is refused, each with its own reason, and that nothing is spent by it.
// What has expired is refused in expiry_e2e_test.cc.

#include <functional>
#include <string>

#include "clients/broker/broker_channel.h"
#include "core/reasons.h"
#include "crypto/certificate_request.h"
#include "tests/e2e/join_test.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

namespace reason = latchkey::reason;
using latchkey::TokenState;
using ::testing::HasSubstr;
using ::testing::Not;

class RefusalsE2eTest : public JoinTest {
 protected:
  void SetUp() override {
    JoinTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    broker_ = StartBroker({.more_policy = R"(  - name: frozen
    provisioners: [{spiffe_id: "spiffe://example.org/autoscaler"}]
    allow: {node_names: ["vault-*"], delivery: [ticket, direct]}
    freeze_on_misuse: true
)"});
  }
  void TearDown() override {
    broker_.reset();
    JoinTest::TearDown();
  }

  // Posts `csr` with the bootstrap token and answers how it was decided.
  std::string PostAndDecide(const std::string& token, const Csr& csr) {
    Post(token, csr);
    return DecisionOn(csr.metadata().name());
  }
  static Csr WithRequest(const std::string& name, const std::string& pem) {
    Csr csr = KubeletCsr(name, "worker-1", NewKey());
    csr.mutable_spec()->set_request(pem);
    return csr;
  }

  std::unique_ptr<BrokerProcess> broker_;
};

TEST_F(RefusalsE2eTest, CsrsThatDoNotFitAreDeniedByNameAndSpendNothing) {
  const std::string token = IssueDirect(*broker_, "worker-fit");
  const latchkey::PrivateKey key = NewKey();
  const auto request = [&](const latchkey::RequestedSubject& subject) {
    return latchkey::BuildCertificateRequest(key, subject).value();
  };
  const latchkey::RequestedSubject good = {
      .common_name = "system:node:worker-fit",
      .organizations = {"system:nodes"}};
  latchkey::RequestedSubject masters = good;
  masters.organizations.push_back("system:masters");
  latchkey::RequestedSubject with_san = good;
  with_san.dns_names = {"worker-fit"};
  Csr usage = KubeletCsr("fit-usage", "worker-fit", key);
  usage.mutable_spec()->add_usages("server auth");
  struct Case {
    Csr csr;
    std::string_view want;
  };
  const Case cases[] = {
      {KubeletCsr("fit-node", "worker-other", key), reason::kScopeNodeName},
      {WithRequest("fit-o", request(masters)), reason::kCsrSubject},
      {WithRequest("fit-san", request(with_san)), reason::kCsrSubjectAltName},
      {WithRequest("fit-two", request(good) + request(good)),
       reason::kCsrMalformed},
      {usage, reason::kCsrUsages},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.csr.metadata().name());
    EXPECT_EQ(PostAndDecide(token, c.csr), "Denied " + std::string(c.want));
    EXPECT_EQ(Record(IdOf(token))->record.state, TokenState::kActive);
  }
  // After all that the token still buys its one certificate.
  EXPECT_EQ(PostAndDecide(token, KubeletCsr("fit-good", "worker-fit", key)),
            "Approved LatchkeyApproved");
  EXPECT_EQ(PostAndDecide(token, KubeletCsr("fit-key", "worker-fit", NewKey())),
            "Denied " + std::string(reason::kTokenReserved));
}

TEST_F(RefusalsE2eTest, AClaimedTokenServesOneKeyOnly) {
  const std::string ticket = IssueTicket(*broker_, "worker-key");
  const latchkey::PrivateKey key = NewKey();
  const auto claimed = Claim(NodeChannel(*broker_), ticket, "worker-key", key);
  ASSERT_THAT(claimed, IsOk());
  KeepSecret(claimed->bootstrap_token().substr(7));

  // The thief has the very token, and another key.
  EXPECT_EQ(PostAndDecide(claimed->bootstrap_token(),
                          KubeletCsr("key-thief", "worker-key", NewKey())),
            "Denied " + std::string(reason::kScopePublicKey));
  EXPECT_EQ(PostAndDecide(claimed->bootstrap_token(),
                          KubeletCsr("key-own", "worker-key", key)),
            "Approved LatchkeyApproved");
}

TEST_F(RefusalsE2eTest, ATokenBuysNothingUnderAnothersName) {
  const std::string first = IssueDirect(*broker_, "worker-a");
  const std::string second = IssueDirect(*broker_, "worker-b");
  EXPECT_EQ(PostAndDecide(second, KubeletCsr("cross", "worker-a", NewKey())),
            "Denied " + std::string(reason::kScopeNodeName));
  EXPECT_EQ(Record(IdOf(first))->record.state, TokenState::kActive);
  EXPECT_EQ(Record(IdOf(second))->record.state, TokenState::kActive);
}

TEST_F(RefusalsE2eTest, KubeadmsTokensAreLeftAlone) {
  const ProgramResult created = cluster().Run({"kubeadm", "token", "create"});
  ASSERT_EQ(created.exit_code, 0) << created.err;
  const std::string token = created.out.substr(0, created.out.size() - 1);
  // kubeadm's group may create CSRs where kubeadm set the cluster up.
  const ProgramResult bound = cluster().Run(
      {"kubectl", "create", "clusterrolebinding", "test-kubeadm-bootstrap",
       "--clusterrole=system:node-bootstrapper",
       "--group=system:bootstrappers:kubeadm:default-node-token"});
  ASSERT_EQ(bound.exit_code, 0) << bound.err;
  const auto client = ClientWithToken(token);
  ASSERT_TRUE(WaitUntil([&] {
    return client->Create(KubeletCsr("foreign", "worker-1", NewKey())).ok();
  }));
  // A CSR of ours after it is decided, so this one was seen and left.
  const std::string ours = IssueDirect(*broker_, "worker-after");
  EXPECT_EQ(PostAndDecide(ours, KubeletCsr("after", "worker-after", NewKey())),
            "Approved LatchkeyApproved");
  EXPECT_TRUE(Admin().Get<Csr>({"", "foreign"})->status().conditions().empty());
}

TEST_F(RefusalsE2eTest, TicketsThatAreNoneAreRefusedAndSpendNothing) {
  const std::string ticket = IssueTicket(*broker_, "worker-ticket");
  std::string mistyped = ticket;
  mistyped[15] = mistyped[15] == 'a' ? 'b' : 'a';
  std::string upper = ticket;
  for (char& c : upper) c = static_cast<char>(toupper(c));
  const auto channel = NodeChannel(*broker_);
  struct Case {
    const char* name;
    std::string ticket;
  };
  const Case cases[] = {{"bad checksum", mistyped},
                        {"truncated", ticket.substr(0, 30)},
                        {"upper case", upper},
                        {"padded", ticket + "=="},
                        {"a trailing newline", ticket + "\n"},
                        {"leading space", " " + ticket}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_THAT(Claim(channel, c.ticket, "worker-ticket", NewKey()),
                ReasonIs(reason::kTicketMalformed));
  }
  EXPECT_THAT(Claim(channel, ticket, "worker-other", NewKey()),
              ReasonIs(reason::kScopeNodeName));
  EXPECT_EQ(Record(IdOf(ticket))->record.state, TokenState::kIssued);
  EXPECT_THAT(Claim(channel, ticket, "worker-ticket", NewKey()), IsOk());
  EXPECT_THAT(Claim(channel, ticket, "worker-ticket", NewKey()),
              ReasonIs(reason::kTicketAlreadyClaimed));
}

TEST_F(RefusalsE2eTest, RevokedAndSpentTokensAreRefused) {
  const auto channel = NodeChannel(*broker_);
  const std::string frozen = IssueTicket(*broker_, "vault-1");
  const latchkey::PrivateKey key = NewKey();
  ASSERT_THAT(Claim(channel, frozen, "vault-1", key), IsOk());
  EXPECT_THAT(Claim(channel, frozen, "vault-1", NewKey()),
              ReasonIs(reason::kTicketAlreadyClaimed));
  EXPECT_THAT(Claim(channel, frozen, "vault-1", key),
              ReasonIs(reason::kTokenRevoked));

  const std::string ticket = IssueTicket(*broker_, "worker-spent");
  Machine machine("worker-spent");
  machine.UseTicket(pki(), broker_->node_endpoint(), ticket);
  ASSERT_EQ(machine.Join().exit_code, 0);
  ASSERT_TRUE(AwaitState(IdOf(ticket), TokenState::kSpent));
  EXPECT_THAT(Claim(channel, ticket, "worker-spent", NewKey()),
              ReasonIs(reason::kTokenSpent));
  Machine thief("worker-spent");
  thief.UseTicket(pki(), broker_->node_endpoint(), ticket);
  const ProgramResult refused = thief.Join();
  EXPECT_EQ(refused.exit_code, 3) << refused.err;
  EXPECT_THAT(refused.err, HasSubstr("TOKEN_SPENT"));
}

TEST_F(RefusalsE2eTest, AnAlteredRecordIsAnInternalErrorAndTheLogSaysWhich) {
  const std::string ticket = IssueTicket(*broker_, "worker-altered");
  const std::string id = IdOf(ticket);
  auto secret = Admin().Get<latchkey::kubernetes::Secret>(
      {"kube-system", "bootstrap-token-" + id});
  ASSERT_THAT(secret, IsOk());
  (*secret->mutable_metadata()->mutable_labels())["latchkey.dev/state"] = "x";
  ASSERT_THAT(Admin().Update(*secret), IsOk());

  const auto claim =
      Claim(NodeChannel(*broker_), ticket, "worker-altered", NewKey());
  EXPECT_THAT(claim, StatusIs(absl::StatusCode::kInternal,
                              Not(HasSubstr("latchkey.dev/state"))));
  EXPECT_THAT(claim, ReasonIs(reason::kInternal));
  EXPECT_THAT(broker_->Log(),
              HasSubstr("token " + id +
                        ": its record has no usable latchkey.dev/state"));
}

TEST_F(RefusalsE2eTest, ANameThatIsTakenIsRefused) {
  latchkey::kubernetes::Node node;
  node.mutable_metadata()->set_name("worker-taken");
  ASSERT_THAT(Admin().Create(node), IsOk());
  const std::string token = IssueDirect(*broker_, "worker-taken");
  EXPECT_EQ(PostAndDecide(token, KubeletCsr("taken", "worker-taken", NewKey())),
            "Denied " + std::string(reason::kNodeExists));
}

TEST_F(RefusalsE2eTest, ProvisionersOutsideTheirPolicyAreRefused) {
  const auto channel = ProvisionerChannel(*broker_);
  EXPECT_THAT(Issue(channel, RequestFor("control-1")),
              ReasonIs(reason::kPolicyDenied));
  EXPECT_THAT(Issue(channel, RequestFor("Worker-1")),
              ReasonIs(reason::kInvalidField));
  latchkey::v1::IssueTokenRequest groups = RequestFor("worker-1");
  groups.mutable_scope()->add_groups("system:bootstrappers:kubeadm:default");
  EXPECT_THAT(Issue(channel, groups), ReasonIs(reason::kPolicyDenied));
  EXPECT_THAT(Issue(ProvisionerChannel(*broker_, "spiffe://example.org/other"),
                    RequestFor("worker-1")),
              ReasonIs(reason::kPolicyDenied));
}

TEST_F(RefusalsE2eTest, CallersWithoutAGoodCertificateAreRefused) {
  const auto with = [&](const latchkey::IssuedIdentity& identity) {
    return Issue(latchkey::OpenBrokerChannel(
                     {.endpoint = broker_->provisioner_endpoint(),
                      .certificate_authorities = pki().ca_pem(),
                      .certificate_pem = identity.certificate_pem,
                      .private_key_pem = identity.private_key_pem}),
                 RequestFor("worker-1"));
  };
  const TestPki other;
  EXPECT_THAT(with({}), StatusIs(absl::StatusCode::kUnavailable))
      << "no certificate";
  EXPECT_THAT(with(other.Client(kAutoscaler)),
              StatusIs(absl::StatusCode::kUnavailable))
      << "another authority";
  EXPECT_THAT(with(pki().Client(kAutoscaler, -absl::Minutes(1))),
              StatusIs(absl::StatusCode::kUnavailable))
      << "expired";
  EXPECT_THAT(with(pki().Client(kAutoscaler)), IsOk());
}

}  // namespace
}  // namespace latchkey_testing
