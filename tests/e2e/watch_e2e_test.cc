// Watches of tokens, and the quota that the broker's own watch carries, against
// the real control plane.

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <grpcpp/client_context.h>

#include "clients/broker/grpc_error.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "latchkey/v1/token_broker.grpc.pb.h"
#include "services/csr_approver.h"
#include "services/join_controller.h"
#include "services/misuse.h"
#include "services/token_broker.h"
#include "services/token_upkeep.h"
#include "storage/advance.h"
#include "storage/kubernetes_token_store.h"
#include "storage/token_life.h"
#include "tests/e2e/join_test.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using latchkey::v1::TokenEvent;
using latchkey::v1::WatchTokensRequest;
using latchkey::v1::WatchTokensResponse;
using Life = std::vector<std::string>;
using Lives = std::map<std::string, Life>;

// A client of WatchTokens as it should be: when its stream breaks it goes on at
// another broker with its last cursor.
class Watcher {
 public:
  using ChannelOf = std::function<std::shared_ptr<grpc::Channel>(int attempt)>;

  explicit Watcher(ChannelOf channel_of, std::string cursor = "")
      : channel_of_(std::move(channel_of)),
        cursor_(std::move(cursor)),
        thread_([this](const std::stop_token& stop) { Run(stop); }) {}
  ~Watcher() {
    thread_.request_stop();
    thread_.join();
  }

  // Once it has heard anything, nothing that comes is missed.
  bool Listens() const {
    return WaitUntil([&] {
      const std::lock_guard lock(mutex_);
      return !cursor_.empty();
    });
  }
  bool Hears(size_t events) const {
    return WaitUntil([&] { return count() >= events; }, absl::Minutes(2));
  }
  size_t count() const {
    const std::lock_guard lock(mutex_);
    return count_;
  }
  Lives lives() const {
    const std::lock_guard lock(mutex_);
    return lives_;
  }
  int gaps() const {
    const std::lock_guard lock(mutex_);
    return gaps_;
  }
  // Which broker it is at, and how often it has gone on at another.
  int broker() const { return attempt_ % 2; }
  int resumed() const { return resumed_; }

 private:
  void Run(const std::stop_token& stop) {
    for (; !stop.stop_requested(); ++attempt_) {
      const auto channel = channel_of_(attempt_);
      grpc::ClientContext context;
      const std::stop_callback cancel(stop, [&] { context.TryCancel(); });
      WatchTokensRequest request;
      {
        const std::lock_guard lock(mutex_);
        request.set_cursor(cursor_);
      }
      const auto stub = latchkey::v1::TokenBroker::NewStub(channel);
      const auto stream = stub->WatchTokens(&context, request);
      WatchTokensResponse news;
      bool first = !request.cursor().empty();
      while (stream->Read(&news)) {
        resumed_ += first ? 1 : 0;
        first = false;
        Keep(news);
      }
      stream->Finish();
    }
  }
  void Keep(const WatchTokensResponse& news) {
    const std::lock_guard lock(mutex_);
    cursor_ = news.cursor();
    if (news.has_gap()) ++gaps_;
    if (!news.has_event()) return;
    ++count_;
    const auto& token = news.event().token();
    std::string what = TokenEvent::Type_Name(news.event().type());
    if (news.event().type() == TokenEvent::REFUSED) {
      what += " " + token.refused_attempts().rbegin()->reason();
    }
    lives_[token.id()].push_back(std::move(what));
  }

  const ChannelOf channel_of_;
  mutable std::mutex mutex_;
  std::string cursor_;
  size_t count_ = 0;
  Lives lives_;
  int gaps_ = 0;
  std::atomic<int> attempt_ = 0;
  std::atomic<int> resumed_ = 0;
  std::jthread thread_;
};

// Two brokers; either may be killed and comes back.
class WatchE2eTest : public JoinTest {
 protected:
  void SetUp() override {
    JoinTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    Restart(0);
    Restart(1);
  }
  void TearDown() override {
    for (auto& broker : brokers_) broker.reset();
    JoinTest::TearDown();
  }
  void Restart(int which) {
    auto broker = StartBroker({.log_level = "info"});
    const std::lock_guard lock(mutex_);
    provisioners_[which] = ProvisionerChannel(*broker);
    nodes_[which] = NodeChannel(*broker);
    brokers_[which] = std::move(broker);
  }
  void Kill(int which) { brokers_[which]->Stop(SIGKILL); }

  std::shared_ptr<grpc::Channel> Provisioners(int attempt) {
    const std::lock_guard lock(mutex_);
    return provisioners_[attempt % 2];
  }
  std::shared_ptr<grpc::Channel> Nodes(int attempt) {
    const std::lock_guard lock(mutex_);
    return nodes_[attempt % 2];
  }
  Watcher::ChannelOf AnyBroker() {
    return [this](int attempt) { return Provisioners(attempt); };
  }

  // Repeats a call at one broker and the other until it is answered.
  template <typename Answer>
  Answer Repeat(const std::function<Answer(int attempt)>& call) {
    for (int attempt = 0;; ++attempt) {
      Answer answer = call(attempt);
      if (answer.ok() || attempt > 2000) return answer;
      absl::SleepFor(absl::Milliseconds(20));
    }
  }
  // One token's life up to `steps`; answers its id.
  std::string Live(int number, int steps) {
    const std::string node = fmt::format("worker-watch-{}", number);
    auto request = RequestFor(node);
    request.set_request_id(fmt::format("watch-request-{}", number));
    const auto issued =
        Repeat<absl::StatusOr<latchkey::v1::IssueTokenResponse>>(
            [&](int attempt) {
              return Issue(Provisioners(number + attempt), request);
            });
    EXPECT_THAT(issued, IsOk());
    if (!issued.ok()) return "";
    const std::string id = issued->token().id();
    if (steps < 2) return id;
    const auto key = NewKey();
    EXPECT_THAT((Repeat<absl::StatusOr<latchkey::v1::ClaimTokenResponse>>(
                    [&](int attempt) {
                      return Claim(Nodes(number + attempt), issued->ticket(),
                                   node, key);
                    })),
                IsOk());
    if (steps < 3) return id;
    latchkey::KubernetesTokenStore store(Admin());
    EXPECT_THAT(
        latchkey::Advance(
            store, latchkey::TokenId::Parse(id).value(),
            [&](const latchkey::TokenRecord& record) {
              return latchkey::Revoke(
                  record,
                  {.who = "me", .why = "test", .time = record.expire_time},
                  latchkey::SecretString("0123456789abcdef"));
            }),
        IsOk());
    return id;
  }

  std::mutex mutex_;
  std::unique_ptr<BrokerProcess> brokers_[2];
  std::shared_ptr<grpc::Channel> provisioners_[2];
  std::shared_ptr<grpc::Channel> nodes_[2];
};

TEST_F(WatchE2eTest,
       AWatchResumedOverKilledBrokersMissesNothingAndDoublesNothing) {
  constexpr int kTokens = 200;
  constexpr int kAtOnce = 40;
  constexpr int kWorkers = 4;
  Watcher watcher(AnyBroker());
  ASSERT_TRUE(watcher.Listens());

  std::atomic<int> next = 0;
  std::atomic<int> done = 0;
  std::atomic<int> kills = 0;
  std::mutex mutex;
  Lives expected;
  size_t events = 0;
  std::vector<std::jthread> workers;
  for (int i = 0; i < kWorkers; ++i) {
    workers.emplace_back([&] {
      for (int number = next++; number < kTokens; number = next++) {
        // Not all of them between two kills.
        WaitUntil([&] { return kills >= number / kAtOnce; });
        const int steps = number % 3 + 1;
        const std::string id = Live(number, steps);
        const Life life = {"ISSUED", "CLAIMED", "REVOKED"};
        const std::lock_guard lock(mutex);
        expected[id] = Life(life.begin(), life.begin() + steps);
        events += static_cast<size_t>(steps);
        ++done;
      }
    });
  }
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::minstd_rand random(seed);
  int resumed = -1;
  while (done < kTokens || kills < kTokens / kAtOnce + 1) {
    const int enough = kills * kAtOnce + static_cast<int>(random() % kAtOnce);
    WaitUntil([&] { return done >= std::min(enough, kTokens); });
    // Every other time as it is, perhaps on its way to what it missed.
    if (kills % 2 == 0) {
      ASSERT_TRUE(WaitUntil([&] { return watcher.resumed() > resumed; }));
      resumed = watcher.resumed();
    }
    // The one that is watched; now and then both, so that whoever comes next
    // was not there.
    const int watched = watcher.broker();
    const bool both = kills % 3 == 2;
    Kill(watched);
    if (both) Kill(1 - watched);
    Restart(watched);
    if (both) Restart(1 - watched);
    ++kills;
  }
  workers.clear();
  ASSERT_EQ(expected.size(), kTokens);
  ASSERT_TRUE(watcher.Hears(events)) << watcher.count() << " of " << events;
  // One more, behind which nothing of the others can come.
  expected[Live(kTokens, 1)] = {"ISSUED"};
  ASSERT_TRUE(watcher.Hears(events + 1));
  EXPECT_EQ(watcher.gaps(), 0);
  EXPECT_EQ(watcher.count(), events + 1);
  EXPECT_EQ(watcher.lives(), expected);
  EXPECT_GE(watcher.resumed(), 3);
}

TEST_F(WatchE2eTest, AJoinIsToldStepByStepAlsoToWhoComesLater) {
  Watcher watcher(AnyBroker());
  ASSERT_TRUE(watcher.Listens());
  const std::string begin = [&] {
    grpc::ClientContext context;
    const auto stream = latchkey::v1::TokenBroker::NewStub(Provisioners(0))
                            ->WatchTokens(&context, WatchTokensRequest());
    WatchTokensResponse first;
    stream->Read(&first);
    context.TryCancel();
    return first.cursor();
  }();
  const std::string ticket = IssueTicket(*brokers_[0], "worker-told");
  Machine machine("worker-told");
  machine.UseTicket(pki(), brokers_[1]->node_endpoint(), ticket);
  ASSERT_EQ(machine.Join().exit_code, 0);
  const Lives expected = {
      {IdOf(ticket), {"ISSUED", "CLAIMED", "RESERVED", "APPROVED", "JOINED"}}};
  ASSERT_TRUE(watcher.Hears(5));
  EXPECT_EQ(watcher.lives(), expected);

  // At a broker that was not there.
  Kill(0);
  Restart(0);
  Watcher late([&](int) { return Provisioners(0); }, begin);
  ASSERT_TRUE(late.Hears(5));
  EXPECT_EQ(late.lives(), expected);
  EXPECT_EQ(late.gaps(), 0);
}

TEST_F(WatchE2eTest, RefusedAttemptsAreToldWithTheirReasons) {
  latchkey::kubernetes::Node node;
  node.mutable_metadata()->set_name("worker-here");
  ASSERT_THAT(Admin().Create(node), IsOk());
  Watcher watcher(AnyBroker());
  ASSERT_TRUE(watcher.Listens());
  const std::string token = IssueDirect(*brokers_[0], "worker-here");
  Post(token, KubeletCsr("here", "worker-here", NewKey()));
  EXPECT_EQ(DecisionOn("here"), "Denied NODE_EXISTS");
  ASSERT_TRUE(watcher.Hears(2));
  Csr server = KubeletCsr("server", "worker-here", NewKey());
  server.mutable_spec()->add_usages("server auth");
  Post(token, server);
  EXPECT_EQ(DecisionOn("server"), "Denied CSR_USAGES");
  ASSERT_TRUE(watcher.Hears(3));
  const std::string ticket = IssueTicket(*brokers_[0], "worker-once");
  ASSERT_THAT(Claim(Nodes(0), ticket, "worker-once", NewKey()), IsOk());
  EXPECT_THAT(Claim(Nodes(1), ticket, "worker-once", NewKey()),
              ReasonIs(latchkey::reason::kTicketAlreadyClaimed));
  const Lives expected = {
      {IdOf(token), {"ISSUED", "REFUSED NODE_EXISTS", "REFUSED CSR_USAGES"}},
      {IdOf(ticket), {"ISSUED", "CLAIMED", "REFUSED TICKET_ALREADY_CLAIMED"}}};
  ASSERT_TRUE(watcher.Hears(6));
  EXPECT_EQ(watcher.lives(), expected);
  EXPECT_EQ(watcher.gaps(), 0);
}

// The broker's rules over the real cluster, without its ports.
class QuotaE2eTest : public JoinTest {
 protected:
  struct Replica {
    explicit Replica(latchkey::KubernetesClient& client)
        : store(client),
          misuse(store, policy, audit, clock),
          broker({}, store, policy, misuse, index, clock),
          approver({}, client, store, misuse, audit, clock),
          upkeep({}, client, store, audit, clock),
          events({}, client),
          controller({}, client, approver, upkeep, index, events, clock) {
      WaitUntil([&] { return controller.fresh(); });
    }

    latchkey::SystemClock clock;
    latchkey::NoAuditLog audit;
    latchkey::KubernetesTokenStore store;
    latchkey::LivePolicy policy{
        latchkey::Policy({{.name = "few",
                           .provisioners = {{{{"common_name", "me"}}}},
                           .node_names = {"worker-*"},
                           .max_outstanding = 10}})};
    latchkey::MisuseGuard misuse;
    latchkey::RecordIndex index;
    latchkey::TokenBroker broker;
    latchkey::CsrApprover approver;
    latchkey::TokenUpkeep upkeep;
    latchkey::TokenEvents events;
    latchkey::JoinController controller;
  };

  // 64 at once, in turn at each of `replicas`; how many were issued.
  static int Rush(const std::vector<Replica*>& replicas,
                  const std::string& provisioner) {
    constexpr int kRacers = 64;
    std::atomic<int> issued = 0;
    std::barrier start(kRacers);
    std::vector<std::jthread> racers;
    for (int i = 0; i < kRacers; ++i) {
      racers.emplace_back([&, i] {
        start.arrive_and_wait();
        const auto answer =
            replicas[static_cast<size_t>(i) % replicas.size()]->broker.Issue(
                {.name = provisioner, .attributes = {{"common_name", {"me"}}}},
                {.scope = {.node_name = fmt::format("worker-{}", i)}});
        if (answer.ok()) {
          ++issued;
        } else {
          EXPECT_EQ(latchkey::ReasonOf(answer.status()),
                    latchkey::reason::kQuotaOutstanding)
              << answer.status();
        }
      });
    }
    racers.clear();
    return issued;
  }
};

TEST_F(QuotaE2eTest, OneBrokerKeepsItToTheToken) {
  Replica replica(Admin());
  EXPECT_EQ(Rush({&replica}, "cn:one"), 10);
  EXPECT_EQ(Rush({&replica}, "cn:one"), 0);
  EXPECT_EQ(Rush({&replica}, "cn:another"), 10);
}

TEST_F(QuotaE2eTest, TwoBrokersKeepItWithinTheBoundAndThenAgree) {
  Replica first(Admin());
  Replica second(Admin());
  const int issued = Rush({&first, &second}, "cn:two");
  EXPECT_GE(issued, 10);
  EXPECT_LE(issued, 20);
  // Once both watches have shown them all, nobody gets more.
  const auto sees_all = [&](Replica& replica) {
    return WaitUntil([&] {
      return replica.index.Unused("cn:two", absl::Now()) ==
             static_cast<size_t>(issued);
    });
  };
  ASSERT_TRUE(sees_all(first));
  ASSERT_TRUE(sees_all(second));
  EXPECT_EQ(Rush({&first, &second}, "cn:two"), 0);
}

}  // namespace
}  // namespace latchkey_testing
