// Every verb of the provisioners' API, on tokens of a real cluster, through two
// brokers.

#include <signal.h>

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <grpcpp/client_context.h>

#include "clients/broker/grpc_error.h"
#include "core/reasons.h"
#include "latchkey/v1/token_broker.grpc.pb.h"
#include "tests/e2e/join_test.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

namespace v1 = latchkey::v1;
using latchkey::TokenState;
using Stub = v1::TokenBroker::Stub;

constexpr char kOther[] = "spiffe://example.org/other";
constexpr char kOtherRule[] = R"(  - name: others
    provisioners:
      - spiffe_id: spiffe://example.org/other
    allow:
      node_names: ["worker-*"]
)";

class TokenVerbsE2eTest : public JoinTest {
 protected:
  void SetUp() override {
    JoinTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    for (auto& broker : brokers_) broker = Start();
  }
  void TearDown() override {
    for (auto& broker : brokers_) broker.reset();
    JoinTest::TearDown();
  }
  std::unique_ptr<BrokerProcess> Start() {
    return StartBroker({.more_policy = kOtherRule, .log_level = "info"});
  }
  template <typename Request, typename Response>
  using Method = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&,
                                        Response*);
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(const std::shared_ptr<grpc::Channel>& channel,
                                Method<Request, Response> method,
                                const Request& request) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Minutes(1)));
    Response response;
    const auto stub = v1::TokenBroker::NewStub(channel);
    const absl::Status status = latchkey::FromGrpcStatus(
        (stub.get()->*method)(&context, request, &response));
    if (!status.ok()) return status;
    return response;
  }
  std::shared_ptr<grpc::Channel> Channel(int broker,
                                         const std::string& who = kAutoscaler) {
    return ProvisionerChannel(*brokers_[broker], who);
  }
  // `count` items with the label run=`run`.
  static v1::BatchIssueTokensRequest Batch(const std::string& run, int count) {
    v1::BatchIssueTokensRequest batch;
    for (int i = 0; i < count; ++i) {
      auto& item = *batch.add_requests();
      item.mutable_scope()->set_node_name(fmt::format("worker-{}-{}", run, i));
      item.set_request_id(fmt::format("{}-{:08}", run, i));
      (*item.mutable_labels())["run"] = run;
    }
    return batch;
  }
  // Names of the Secrets with the label run=`run`.
  std::set<std::string> SecretsOf(const std::string& run) {
    const auto list = Admin().List<latchkey::kubernetes::SecretList>(
        {.name_space = "kube-system",
         .label_selector = "label.latchkey.dev/run=" + run});
    EXPECT_THAT(list, IsOk());
    std::set<std::string> names;
    for (const auto& secret : list->items()) {
      names.insert(secret.metadata().name());
    }
    return names;
  }
  absl::StatusOr<v1::ExplainTokenResponse> Explain(const std::string& id) {
    v1::ExplainTokenRequest request;
    request.set_id(id);
    return Call(Channel(1), &Stub::ExplainToken, request);
  }
  absl::StatusOr<v1::RevokeTokenResponse> Revoke(const std::string& id) {
    v1::RevokeTokenRequest request;
    request.set_id(id);
    request.set_reason("lost in mail");
    return Call(Channel(1), &Stub::RevokeToken, request);
  }
  absl::StatusOr<v1::Token> Extend(const std::string& id, absl::Time until) {
    v1::ExtendTokenRequest request;
    request.set_id(id);
    request.mutable_expire_time()->set_seconds(absl::ToUnixSeconds(until));
    return Call(Channel(1), &Stub::ExtendToken, request);
  }

  std::unique_ptr<BrokerProcess> brokers_[2];
};

TEST_F(TokenVerbsE2eTest, ABatchRepeatedAfterAKillIsOneTokenAnItem) {
  const v1::BatchIssueTokensRequest batch = Batch("killed", 1000);
  absl::Status broken;
  {
    std::jthread call([&] {
      broken = Call(Channel(0), &Stub::BatchIssueTokens, batch).status();
    });
    ASSERT_TRUE(WaitUntil([&] { return SecretsOf("killed").size() >= 100; }));
    brokers_[0]->Stop(SIGKILL);
  }
  EXPECT_THAT(broken, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_LT(SecretsOf("killed").size(), 1000U) << "killed too late";

  std::set<std::string> tickets;
  std::set<std::string> ids;
  for (int repetition = 0; repetition < 2; ++repetition) {
    const auto answer = Call(Channel(1), &Stub::BatchIssueTokens, batch);
    ASSERT_THAT(answer, IsOk());
    ASSERT_EQ(answer->results_size(), 1000);
    for (const auto& result : answer->results()) {
      ASSERT_TRUE(result.has_issued()) << result.error().message();
      tickets.insert(result.issued().ticket());
      ids.insert("bootstrap-token-" + result.issued().token().id());
    }
  }
  KeepSecret(tickets.begin()->substr(11, 32));
  EXPECT_EQ(tickets.size(), 1000U);
  EXPECT_EQ(SecretsOf("killed"), ids);
}

TEST_F(TokenVerbsE2eTest, TwoThousandAreListedOnceEachWhileOthersComeAndGo) {
  std::set<std::string> stable;
  for (const char* half : {"first", "second"}) {
    v1::BatchIssueTokensRequest batch = Batch(half, 1000);
    for (auto& item : *batch.mutable_requests()) {
      (*item.mutable_labels())["listed"] = "yes";
    }
    const auto answer = Call(Channel(0), &Stub::BatchIssueTokens, batch);
    ASSERT_THAT(answer, IsOk());
    for (const auto& result : answer->results()) {
      ASSERT_TRUE(result.has_issued()) << result.error().message();
      stable.insert(result.issued().token().id());
    }
  }
  ASSERT_EQ(stable.size(), 2000U);

  std::atomic<int> came_and_went = 0;
  std::jthread others([&](const std::stop_token& stop) {
    const auto channel = Channel(1);
    while (!stop.stop_requested()) {
      v1::IssueTokenRequest request = RequestFor("worker-other");
      (*request.mutable_labels())["listed"] = "yes";
      const auto issued = Issue(channel, request);
      if (issued.ok() &&
          Admin()
              .Delete<latchkey::kubernetes::Secret>(
                  {"kube-system", "bootstrap-token-" + issued->token().id()})
              .ok()) {
        ++came_and_went;
      }
    }
  });
  ASSERT_TRUE(WaitUntil([&] { return came_and_went > 2; }));
  const int before = came_and_went;
  std::set<std::string> listed;
  v1::ListTokensRequest request;
  (*request.mutable_filter()->mutable_labels())["listed"] = "yes";
  request.set_page_size(100);
  int pages = 0;
  do {
    // Any replica goes on with a listing.
    const auto page = Call(Channel(pages++ % 2), &Stub::ListTokens, request);
    ASSERT_THAT(page, IsOk());
    ASSERT_LE(page->tokens_size(), 100);
    for (const v1::Token& token : page->tokens()) {
      ASSERT_TRUE(listed.insert(token.id()).second) << "listed twice";
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_GT(came_and_went, before) << "nothing happened meanwhile";
  EXPECT_GE(pages, 20);
  EXPECT_LE(listed.size(), 2001U);
  EXPECT_TRUE(std::includes(listed.begin(), listed.end(), stable.begin(),
                            stable.end()));

  EXPECT_EQ(Call(Channel(0, kOther), &Stub::ListTokens, v1::ListTokensRequest())
                ->tokens_size(),
            0);
  v1::ListTokensRequest first;
  const auto page = Call(Channel(0), &Stub::ListTokens, first);
  ASSERT_THAT(page, IsOk());
  first.set_page_token(page->next_page_token());
  EXPECT_THAT(Call(Channel(0, kOther), &Stub::ListTokens, first),
              ReasonIs(latchkey::reason::kInvalidField));
}

TEST_F(TokenVerbsE2eTest, ARevocationCutsOffAClaimedToken) {
  const std::string ticket = IssueTicket(*brokers_[0], "worker-revoked");
  const latchkey::PrivateKey key = NewKey();
  const auto claimed =
      Claim(NodeChannel(*brokers_[0]), ticket, "worker-revoked", key);
  ASSERT_THAT(claimed, IsOk());
  KeepSecret(claimed->bootstrap_token().substr(7));
  const auto client = ClientWithToken(claimed->bootstrap_token());
  const auto authenticates = [&] {
    return !absl::IsUnauthenticated(client->Get<Csr>({"", "none"}).status());
  };
  ASSERT_TRUE(WaitUntil(authenticates));

  const auto revoked = Revoke(IdOf(ticket));
  ASSERT_THAT(revoked, IsOk());
  EXPECT_EQ(revoked->tokens(0).state(), v1::TOKEN_STATE_REVOKED);
  EXPECT_EQ(revoked->tokens(0).revocation().revoked_by(), kAutoscaler);
  // The API server believes the token for a few seconds more; the approver does
  // not.
  ASSERT_THAT(client->Create(KubeletCsr("revoked", "worker-revoked", key)),
              IsOk());
  EXPECT_EQ(DecisionOn("revoked"), "Denied TOKEN_REVOKED");
  EXPECT_TRUE(WaitUntil([&] { return !authenticates(); }));
  EXPECT_THAT(Claim(NodeChannel(*brokers_[0]), ticket, "worker-revoked", key),
              ReasonIs(latchkey::reason::kTokenRevoked));
  EXPECT_THAT(Revoke(IdOf(ticket)), IsOk()) << "again";
}

TEST_F(TokenVerbsE2eTest, AnExtensionKeepsATicketAliveBeyondItsFirstDeadline) {
  v1::IssueTokenRequest request = RequestFor("worker-slow");
  request.mutable_lifetime()->set_seconds(60);
  const auto extended = Issue(Channel(0), request);
  request.mutable_scope()->set_node_name("worker-slower");
  const auto left = Issue(Channel(0), request);
  ASSERT_THAT(extended, IsOk());
  ASSERT_THAT(left, IsOk());
  KeepSecret(extended->ticket().substr(11, 32));
  const std::string id = extended->token().id();
  const absl::Time deadline =
      absl::FromUnixSeconds(left->token().expire_time().seconds());
  const auto until = Extend(id, deadline + absl::Minutes(5));
  ASSERT_THAT(until, IsOk());
  EXPECT_EQ(until->expire_time().seconds(),
            left->token().expire_time().seconds() + 300);
  EXPECT_THAT(Extend(id, deadline + absl::Hours(3)),
              ReasonIs(latchkey::reason::kPolicyDenied))
      << "the rule allows two hours";

  ASSERT_TRUE(
      WaitUntil([&] { return absl::Now() > deadline; }, absl::Seconds(70)));
  EXPECT_THAT(Extend(left->token().id(), deadline + absl::Minutes(5)),
              ::testing::AnyOf(ReasonIs(latchkey::reason::kTokenExpired),
                               ReasonIs(latchkey::reason::kTokenUnknown)));
  Machine machine("worker-slow");
  machine.UseTicket(pki(), brokers_[0]->node_endpoint(), extended->ticket());
  const ProgramResult joined = machine.Join();
  EXPECT_EQ(joined.exit_code, 0) << joined.err;
}

TEST_F(TokenVerbsE2eTest, AnExplanationTellsAWholeJoinToItsOwnerOnly) {
  const std::string ticket = IssueTicket(*brokers_[0], "worker-told");
  Machine machine("worker-told");
  machine.UseTicket(pki(), brokers_[0]->node_endpoint(), ticket);
  const std::string id = IdOf(ticket);
  // The signer waits until a thief has tried.
  cluster().Hold("kube-controller-manager");
  ASSERT_THAT(cluster().Kill("kube-controller-manager", SIGKILL), IsOk());
  auto join = machine.StartJoin();
  ASSERT_THAT(join, IsOk());
  ASSERT_TRUE(AwaitState(id, TokenState::kReserved));
  EXPECT_THAT(Claim(NodeChannel(*brokers_[1]), ticket, "worker-told", NewKey()),
              ReasonIs(latchkey::reason::kTicketAlreadyClaimed));
  cluster().Release("kube-controller-manager");
  ASSERT_EQ((*join)->AwaitExit(absl::Seconds(60)), 0)
      << ReadFile(machine.dir().File("join.log"));
  ASSERT_TRUE(AwaitState(id, TokenState::kSpent));

  const auto told = Explain(id);
  ASSERT_THAT(told, IsOk());
  std::multiset<v1::TokenEvent::Type> events;
  int64_t last = 0;
  for (const auto& step : told->steps()) {
    events.insert(step.type());
    EXPECT_GE(step.time().seconds(), last) << step.description();
    last = step.time().seconds();
  }
  EXPECT_EQ(events, (std::multiset<v1::TokenEvent::Type>{
                        v1::TokenEvent::ISSUED, v1::TokenEvent::CLAIMED,
                        v1::TokenEvent::RESERVED, v1::TokenEvent::APPROVED,
                        v1::TokenEvent::JOINED, v1::TokenEvent::REFUSED}));
  ASSERT_EQ(told->csrs_size(), 1);
  EXPECT_EQ(told->csrs(0).verdict(), "Approved");
  EXPECT_TRUE(told->csrs(0).holds_token());
  EXPECT_TRUE(told->csrs(0).certificate_issued());
  EXPECT_EQ(told->token().state(), v1::TOKEN_STATE_SPENT);
  EXPECT_EQ(told->token().certificate().sha256().size(), 32U);
  ASSERT_EQ(told->token().refused_attempts_size(), 1);
  EXPECT_EQ(told->token().refused_attempts(0).reason(),
            "TICKET_ALREADY_CLAIMED");
  EXPECT_THAT(Revoke(id), ReasonIs(latchkey::reason::kTokenSpent));

  v1::ExplainTokenRequest request;
  request.set_id(id);
  EXPECT_THAT(Call(Channel(0, kOther), &Stub::ExplainToken, request),
              ReasonIs(latchkey::reason::kTokenUnknown));
}

}  // namespace
}  // namespace latchkey_testing
