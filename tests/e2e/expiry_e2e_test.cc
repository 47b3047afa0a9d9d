// When a token's time is over it buys nothing, and nothing of it is left,
// whoever cleans up.

#include <signal.h>

#include <string>

#include "core/reasons.h"
#include "core/text_time.h"
#include "tests/e2e/join_test.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using latchkey::TokenState;

// The shortest times that the broker allows, and what clocks may add.
constexpr absl::Duration kPatience = absl::Seconds(90);

class ExpiryE2eTest : public JoinTest {
 protected:
  explicit ExpiryE2eTest(const ControlPlaneOptions& options)
      : JoinTest(options) {}

  // A tombstone, and a ticket that nobody claims; both end in a minute.
  void LeaveBehind(const BrokerProcess& broker) {
    latchkey::v1::IssueTokenRequest request = RequestFor("worker-late");
    request.mutable_lifetime()->set_seconds(60);
    const auto issued = Issue(ProvisionerChannel(broker), request);
    ASSERT_THAT(issued, IsOk());
    unclaimed_ = issued->token().id();
    const std::string ticket = IssueTicket(broker, "worker-gone");
    Machine machine("worker-gone");
    machine.UseTicket(pki(), broker.node_endpoint(), ticket);
    const ProgramResult joined = machine.Join();
    ASSERT_EQ(joined.exit_code, 0) << joined.err;
    tombstone_ = IdOf(ticket);
    ASSERT_TRUE(AwaitState(tombstone_, TokenState::kSpent));
  }
  bool AwaitRemoved(const std::string& id) {
    return WaitUntil([&] { return absl::IsNotFound(Record(id).status()); },
                     kPatience);
  }

  std::string tombstone_;
  std::string unclaimed_;
};

class WithoutTokenCleaner : public ExpiryE2eTest {
 protected:
  WithoutTokenCleaner() : ExpiryE2eTest({.token_cleaner = false}) {}
};

TEST_F(WithoutTokenCleaner, LatchkeyRemovesWhatHasExpired) {
  const auto broker = StartBroker({.join_window = "1m"});
  LeaveBehind(*broker);
  EXPECT_TRUE(AwaitRemoved(unclaimed_));
  EXPECT_TRUE(AwaitRemoved(tombstone_));
}

// Whoever removes an expired record is quicker than a test. Here nobody may, so
// that the record is there and the only thing against it is its time.
class WhileNobodyMayRemoveRecords : public WithoutTokenCleaner {
 protected:
  void SetUp() override {
    WithoutTokenCleaner::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const ProgramResult patched =
        cluster().Run({"kubectl", "-n", "kube-system", "patch", "role",
                       "latchkey:broker", "--type=json", "-p",
                       R"([{"op": "replace", "path": "/rules/0/verbs",
              "value": ["get", "list", "watch", "create", "update"]}])"});
    ASSERT_EQ(patched.exit_code, 0) << patched.err;
    // The API server learns of it a moment later.
    ASSERT_TRUE(WaitUntil([&] {
      return cluster()
                 .Run({"kubectl", "-n", "kube-system", "auth", "can-i",
                       "delete", "secrets",
                       "--as=system:serviceaccount:kube-system:latchkey"})
                 .out == "no\n";
    }));
  }

  // Lets the token expire `from_now`, which may be in the past.
  void SetExpiration(const std::string& id, absl::Duration from_now) {
    auto secret = Admin().Get<latchkey::kubernetes::Secret>(
        {"kube-system", "bootstrap-token-" + id});
    ASSERT_THAT(secret, IsOk());
    (*secret->mutable_data())["expiration"] =
        latchkey::FormatRfc3339(absl::Now() + from_now);
    ASSERT_THAT(Admin().Update(*secret), IsOk());
  }
};

TEST_F(WhileNobodyMayRemoveRecords, AnExpiredTicketIsRefusedAndNotSpent) {
  const auto broker = StartBroker();
  const std::string ticket = IssueTicket(*broker, "worker-expired");
  const auto channel = NodeChannel(*broker);
  SetExpiration(IdOf(ticket), -absl::Seconds(1));
  EXPECT_THAT(Claim(channel, ticket, "worker-expired", NewKey()),
              ReasonIs(latchkey::reason::kTokenExpired));
  const auto token = Record(IdOf(ticket));
  ASSERT_THAT(token, IsOk());
  EXPECT_EQ(token->record.state, TokenState::kIssued);
  EXPECT_FALSE(token->record.claim.has_value());

  SetExpiration(IdOf(ticket), absl::Minutes(10));
  EXPECT_THAT(Claim(channel, ticket, "worker-expired", NewKey()), IsOk());
}

TEST_F(WhileNobodyMayRemoveRecords, ACsrOfAnExpiredTokenIsDeniedAndNotSpent) {
  const auto broker = StartBroker();
  const std::string token = IssueDirect(*broker, "worker-overdue");
  // The API server lets only a living token in: it expires after its CSR was
  // posted, and before the broker has seen the CSR.
  broker->Signal(SIGSTOP);
  Post(token, KubeletCsr("overdue", "worker-overdue", NewKey()));
  SetExpiration(IdOf(token), -absl::Seconds(1));
  broker->Signal(SIGCONT);
  EXPECT_EQ(DecisionOn("overdue"),
            "Denied " + std::string(latchkey::reason::kTokenExpired));
  const auto found = Record(IdOf(token));
  ASSERT_THAT(found, IsOk());
  EXPECT_EQ(found->record.state, TokenState::kActive);

  SetExpiration(IdOf(token), absl::Minutes(10));
  Post(token, KubeletCsr("in-time", "worker-overdue", NewKey()));
  EXPECT_EQ(DecisionOn("in-time"), "Approved LatchkeyApproved");
}

class WithTokenCleaner : public ExpiryE2eTest {
 protected:
  WithTokenCleaner() : ExpiryE2eTest({.token_cleaner = true}) {}
};

TEST_F(WithTokenCleaner, TheClusterRemovesWhatHasExpired) {
  auto broker = StartBroker({.join_window = "1m"});
  LeaveBehind(*broker);
  broker->Stop(SIGTERM);
  EXPECT_TRUE(AwaitRemoved(unclaimed_));
  EXPECT_TRUE(AwaitRemoved(tombstone_));
}

}  // namespace
}  // namespace latchkey_testing
