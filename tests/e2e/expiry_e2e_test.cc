// What is left when a token's time is over: nothing, whoever cleans up.

#include <string>

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
