// What must happen once, raced over two brokers.

#include <atomic>
#include <barrier>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "core/reasons.h"
#include "tests/e2e/join_test.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using latchkey::TokenState;

constexpr int kRacers = 32;
constexpr int kRounds = 50;

// Calls `body` with 0 … kRacers-1, each on a thread of its own, all at once.
void Race(const std::function<void(int)>& body) {
  std::barrier start(kRacers);
  std::vector<std::jthread> threads;
  threads.reserve(kRacers);
  for (int i = 0; i < kRacers; ++i) {
    threads.emplace_back([&, i] {
      start.arrive_and_wait();
      body(i);
    });
  }
}

class RacesE2eTest : public JoinTest {
 protected:
  void SetUp() override {
    JoinTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    StartBoth();
    for (int i = 0; i < kRacers; ++i) keys_.push_back(NewKey());
  }
  void TearDown() override {
    for (auto& broker : brokers_) broker.reset();
    JoinTest::TearDown();
  }
  void StartBoth() {
    for (auto& broker : brokers_) broker = StartBroker({.log_level = "info"});
  }

  std::unique_ptr<BrokerProcess> brokers_[2];
  std::vector<latchkey::PrivateKey> keys_;
};

TEST_F(RacesE2eTest, OneOfManyClaimersGetsTheTicket) {
  const std::shared_ptr<grpc::Channel> channels[2] = {
      NodeChannel(*brokers_[0]), NodeChannel(*brokers_[1])};
  for (int round = 0; round < kRounds; ++round) {
    const std::string ticket = IssueTicket(*brokers_[round % 2], "worker-race");
    std::atomic<int> won = 0;
    std::atomic<int> lost = 0;
    Race([&](int i) {
      const auto claimed =
          Claim(channels[i % 2], ticket, "worker-race", keys_[i]);
      if (claimed.ok()) ++won;
      if (latchkey::ReasonOf(claimed.status()) ==
          latchkey::reason::kTicketAlreadyClaimed) {
        ++lost;
      }
    });
    ASSERT_EQ(won, 1) << "round " << round;
    ASSERT_EQ(lost, kRacers - 1) << "round " << round;
  }
}

TEST_F(RacesE2eTest, OneOfManyCsrsIsEverApproved) {
  for (int round = 0; round < kRounds; ++round) {
    // Each round is another token, for another name: with the Node of the round
    // before there would be nothing to race for.
    const std::string node = fmt::format("worker-race-{}", round);
    const std::string token = IssueDirect(*brokers_[round % 2], node);
    const auto client = ClientWithToken(token);
    ASSERT_TRUE(WaitUntil([&] {
      return !absl::IsUnauthenticated(client->Get<Csr>({"", "none"}).status());
    }));
    Race([&](int i) {
      EXPECT_THAT(client->Create(KubeletCsr(fmt::format("r{}-{}", round, i),
                                            node, keys_[i])),
                  IsOk());
    });
    int approved = 0;
    for (int i = 0; i < kRacers; ++i) {
      const std::string decision = DecisionOn(fmt::format("r{}-{}", round, i));
      ASSERT_NE(decision, "") << "nobody decided";
      if (decision == "Approved LatchkeyApproved") ++approved;
    }
    ASSERT_EQ(approved, 1) << "round " << round;
  }
}

TEST_F(RacesE2eTest, OneRequestIsOneTokenWhoeverIsAskedAndKilled) {
  latchkey::v1::IssueTokenRequest request = RequestFor("worker-once");
  request.set_request_id("f2a7c7a0-once");
  std::mutex mutex;
  std::set<std::string> tickets;
  const auto ask = [&](const std::shared_ptr<grpc::Channel>& channel) {
    const auto issued = Issue(channel, request);
    EXPECT_THAT(issued, IsOk());
    const std::lock_guard lock(mutex);
    if (issued.ok()) tickets.insert(issued->ticket());
  };
  const std::shared_ptr<grpc::Channel> channels[2] = {
      ProvisionerChannel(*brokers_[0]), ProvisionerChannel(*brokers_[1])};
  Race([&](int i) { ask(channels[i % 2]); });
  for (auto& broker : brokers_) broker->Stop(SIGKILL);
  StartBoth();
  ask(ProvisionerChannel(*brokers_[0]));
  ask(ProvisionerChannel(*brokers_[1]));

  ASSERT_EQ(tickets.size(), 1U);
  KeepSecret(tickets.begin()->substr(11, 32));
  const auto secrets = Admin().List<latchkey::kubernetes::SecretList>(
      {.name_space = "kube-system",
       .label_selector = "app.kubernetes.io/managed-by=latchkey"});
  ASSERT_THAT(secrets, IsOk());
  int of_this_node = 0;
  for (const auto& secret : secrets->items()) {
    if (secret.metadata().annotations().at("latchkey.dev/node-name") ==
        "worker-once") {
      ++of_this_node;
    }
  }
  EXPECT_EQ(of_this_node, 1);
}

TEST_F(RacesE2eTest, TheSameClaimGetsTheSameAnswerWhoeverIsAsked) {
  const std::string ticket = IssueTicket(*brokers_[0], "worker-same");
  std::mutex mutex;
  std::set<std::string> tokens;
  const std::shared_ptr<grpc::Channel> channels[2] = {
      NodeChannel(*brokers_[0]), NodeChannel(*brokers_[1])};
  Race([&](int i) {
    const auto claimed =
        Claim(channels[i % 2], ticket, "worker-same", keys_.front());
    EXPECT_THAT(claimed, IsOk());
    const std::lock_guard lock(mutex);
    if (claimed.ok()) tokens.insert(claimed->bootstrap_token());
  });
  EXPECT_EQ(tokens.size(), 1U);
}

}  // namespace
}  // namespace latchkey_testing
