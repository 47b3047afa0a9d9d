#include "services/call_frame.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <absl/time/clock.h>

#include "services/grpc_status.h"
#include "tests/services/call_frame_fixture.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using latchkey::AuditEvent;
using latchkey::AuditVerdict;
using latchkey::Call;
using latchkey::CallFrame;
using latchkey::PolicyRule;
using latchkey::Rpc;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

class CallFrameTest : public CallFrameFixture {
 protected:
  // Holds the one thread that a test leaves, in a call of `who`.
  std::thread HoldAThread(const std::string& who) {
    store_.BeforeNextWrite([this] {
      held_.set_value();
      gate_.wait();
    });
    std::thread caller([this, who] { EXPECT_THAT(Issue(who), IsOk()); });
    held_.get_future().wait();
    return caller;
  }
  std::promise<void> held_;
  std::promise<void> open_;
  std::shared_future<void> gate_ = open_.get_future().share();
};

TEST_F(CallFrameTest, WhatWasAllowedIsRecordedWithAllThatItsSchemaAsksFor) {
  StartServer();
  const auto issued = Issue("a");
  ASSERT_THAT(issued, IsOk());
  const auto key =
      latchkey::PrivateKey::Generate(latchkey::KeyType::kP256).value();
  ASSERT_THAT(Claim(issued->ticket(), key), IsOk());

  const std::vector<AuditEvent> events = audit_.events();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_THAT(
      MissingFacts(latchkey::DeclarationOf(Rpc::kIssueToken), events[0]),
      IsEmpty());
  EXPECT_THAT(
      MissingFacts(latchkey::DeclarationOf(Rpc::kClaimToken), events[1]),
      IsEmpty());
  EXPECT_EQ(events[0].action, "IssueToken");
  EXPECT_EQ(events[0].verdict, AuditVerdict::kAllowed);
  EXPECT_EQ(events[0].identity, "cn:a");
  EXPECT_EQ(events[0].rule, "workers");
  EXPECT_EQ(events[0].token_id, issued->token().id());
  EXPECT_THAT(events[0].peer, StartsWith("ipv4:127.0.0.1:"));
  EXPECT_EQ(events[1].action, "ClaimToken");
  EXPECT_EQ(events[1].identity, "");
  EXPECT_EQ(events[1].token_uid, events[0].token_uid);
  EXPECT_EQ(events[1].facts.at("key"), key.public_key_digest());
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("latchkey_rpcs_total{code=\"OK\",rpc=\"claim\"} 1"));
}

TEST_F(CallFrameTest, HowTheCallerProvedWhoItIsIsOnRecord) {
  using latchkey::IdentityKind;
  options_.rate_of = [](const latchkey::Identity&) {
    return CallFrame::Options::CallerRate{
        .rate = {.per_second = 0.01, .burst = 4}};
  };
  StartServer();
  std::vector<IdentityKind> proved;
  for (const auto kind : {IdentityKind::kJwt, IdentityKind::kServiceAccount}) {
    authenticator_.ProvedBy(kind);
    EXPECT_THAT(Issue("a"), IsOk());
    EXPECT_THAT(Issue("a", "stranger-1"),
                ReasonIs(latchkey::reason::kPolicyDenied));
    proved.insert(proved.end(), 2, kind);
  }
  // At the door, too.
  EXPECT_THAT(Issue("a"), ReasonIs(latchkey::reason::kRateLimited));
  proved.push_back(IdentityKind::kServiceAccount);
  EXPECT_TRUE(
      WaitUntil([&] { return audit_.events().size() == proved.size(); }));
  std::vector<IdentityKind> recorded;
  for (const AuditEvent& event : audit_.events()) {
    recorded.push_back(event.identity_kind);
  }
  EXPECT_EQ(recorded, proved);
}

TEST_F(CallFrameTest, ADenialIsRecordedWithItsRuleAndReason) {
  StartServer();
  EXPECT_THAT(Issue("a", "stranger-1"),
              ReasonIs(latchkey::reason::kPolicyDenied));
  EXPECT_THAT(
      Claim("no ticket",
            latchkey::PrivateKey::Generate(latchkey::KeyType::kP256).value()),
      ReasonIs(latchkey::reason::kTicketMalformed));
  const std::vector<AuditEvent> events = audit_.events();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].verdict, AuditVerdict::kDenied);
  EXPECT_EQ(events[0].reason, "POLICY_DENIED");
  EXPECT_EQ(events[0].rule, "workers");
  EXPECT_THAT(events[0].facts, Contains(Pair("field", "scope.node_name")));
  EXPECT_THAT(events[0].facts, Contains(Pair("node", "stranger-1")));
  EXPECT_EQ(events[1].reason, "TICKET_MALFORMED");
  EXPECT_THAT(
      metrics_.Text(),
      AllOf(HasSubstr("latchkey_rpcs_total{code=\"PERMISSION_DENIED\","
                      "rpc=\"issue\"} 1"),
            HasSubstr("latchkey_refusals_total{reason=\"POLICY_DENIED\"} 1")));
}

TEST_F(CallFrameTest, AFailureOfTheClusterIsNoDenial) {
  StartServer();
  store_.LoseNextWrite(FlakyTokenStore::Loses::kRequest);
  store_.LoseNextWrite(FlakyTokenStore::Loses::kRequest);
  store_.LoseNextWrite(FlakyTokenStore::Loses::kRequest);
  EXPECT_THAT(Issue("a"), ReasonIs(latchkey::reason::kClusterUnavailable));
  EXPECT_THAT(audit_.Summary(),
              ElementsAre("IssueToken failed CLUSTER_UNAVAILABLE"));
}

TEST_F(CallFrameTest, AQuestionIsRecordedAsOne) {
  StartServer();
  ASSERT_THAT(Issue("a", "worker-1", /*validate_only=*/true), IsOk());
  ASSERT_EQ(audit_.events().size(), 1U);
  EXPECT_EQ(audit_.events()[0].token_id, "");
  EXPECT_THAT(audit_.events()[0].facts,
              Contains(Pair("validate_only", "true")));
}

TEST_F(CallFrameTest, NobodyGetsNoFurtherThanTheDoor) {
  StartServer();
  EXPECT_THAT(Issue(""), ReasonIs(latchkey::reason::kUnauthenticated));
  EXPECT_EQ(store_.writes(), 0);
  EXPECT_TRUE(WaitUntil([&] {
    return audit_.Summary() ==
           std::vector<std::string>{"IssueToken denied UNAUTHENTICATED"};
  }));
}

TEST_F(CallFrameTest, WhichCheckFailedIsForTheOperatorAndNotForTheStranger) {
  StartServer();
  const auto refused = Issue("");
  EXPECT_THAT(refused, ReasonIs(latchkey::reason::kUnauthenticated));
  EXPECT_THAT(std::string(refused.status().message()),
              AllOf(Not(HasSubstr("no such caller")),
                    HasSubstr("bring a client certificate or a bearer token"),
                    HasSubstr("audit log")));
  EXPECT_TRUE(WaitUntil([&] { return audit_.events().size() == 1; }));
  EXPECT_THAT(audit_.events()[0].facts,
              Contains(Pair("detail", "no such caller")));
}

TEST_F(CallFrameTest, WhoIsNotKnownYetDoesNotHoldUpWhoIs) {
  StartServer();
  std::thread unknown([&] { EXPECT_THAT(Issue("slow:a"), IsOk()); });
  for (int i = 0; i < 5; ++i) EXPECT_THAT(Issue("a"), IsOk());
  EXPECT_THAT(
      audit_.events(),
      Not(Contains(::testing::Field(&AuditEvent::identity, "cn:slow:a"))));
  authenticator_.Open();
  unknown.join();
}

TEST_F(CallFrameTest, WhoAsksTooOftenHearsWhenToComeBack) {
  options_.rate_of = [](const latchkey::Identity&) {
    return CallFrame::Options::CallerRate{.rate = {0.01, 2}};
  };
  StartServer();
  ASSERT_THAT(Issue("a"), IsOk());
  ASSERT_THAT(Issue("a"), IsOk());
  const auto first = Issue("a");
  const auto second = Issue("a");
  EXPECT_THAT(first, ReasonIs(latchkey::reason::kRateLimited));
  EXPECT_THAT(first, StatusIs(absl::StatusCode::kResourceExhausted));
  for (const auto& refused : {first, second}) {
    EXPECT_THAT(latchkey::RetryAfterOf(refused.status()),
                ::testing::Optional(
                    AllOf(Ge(absl::Seconds(90)), Le(absl::Seconds(201)))));
  }
  EXPECT_NE(latchkey::RetryAfterOf(first.status()),
            latchkey::RetryAfterOf(second.status()))
      << "they would come back together";
  EXPECT_THAT(Issue("b"), IsOk()) << "another one's calls are not its own";
  EXPECT_TRUE(WaitUntil([&] {
    const auto lines = audit_.Summary();
    return std::count(lines.begin(), lines.end(),
                      "IssueToken denied RATE_LIMITED") == 1;
  }));
}

TEST_F(CallFrameTest, WhatThePolicyWouldDenyIsCountedAndRecordedAndDone) {
  PolicyRule observing = Rule();
  observing.mode = latchkey::PolicyMode::kObserve;
  observing.max_outstanding = 1;
  policy_.Replace(latchkey::Policy({observing}));
  index_.SetFresh(true);
  StartServer();
  ASSERT_THAT(Issue("a", "worker-1"), IsOk());
  EXPECT_THAT(metrics_.Text(),
              Not(HasSubstr("latchkey_policy_observed_total{")));
  ASSERT_THAT(Issue("a", "worker-2"), IsOk());
  ASSERT_THAT(Issue("a", "control-1"), IsOk());
  EXPECT_THAT(
      audit_.Summary(),
      ElementsAre("IssueToken allowed", "IssueToken observed QUOTA_OUTSTANDING",
                  "IssueToken observed POLICY_DENIED"));
  EXPECT_EQ(audit_.events()[1].rule, "workers");
  EXPECT_THAT(metrics_.Text(),
              AllOf(HasSubstr("latchkey_policy_observed_total{reason="
                              "\"QUOTA_OUTSTANDING\"} 1"),
                    HasSubstr("latchkey_policy_observed_total{reason="
                              "\"POLICY_DENIED\"} 1"),
                    Not(HasSubstr("latchkey_refusals_total{"))));
}

TEST_F(CallFrameTest, AnExtensionThatWouldBeDeniedIsCountedAndRecorded) {
  PolicyRule observing = Rule();
  observing.mode = latchkey::PolicyMode::kObserve;
  policy_.Replace(latchkey::Policy({observing}));
  StartServer();
  const auto issued = Issue("a");
  ASSERT_THAT(issued, IsOk());
  const auto extend = [&](int64_t seconds) {
    auto stub = latchkey::v1::TokenBroker::NewStub(Connect());
    grpc::ClientContext context;
    context.AddMetadata("who", "a");
    latchkey::v1::ExtendTokenRequest request;
    request.set_id(issued->token().id());
    request.mutable_expire_time()->set_seconds(
        issued->token().expire_time().seconds() + seconds);
    latchkey::v1::Token token;
    return latchkey::FromGrpcStatus(
        stub->ExtendToken(&context, request, &token));
  };
  EXPECT_THAT(extend(60), IsOk());
  EXPECT_THAT(extend(8 * 24 * 3600), ReasonIs(latchkey::reason::kPolicyDenied))
      << "more than any rule may allow";
  EXPECT_THAT(
      audit_.Summary(),
      ElementsAre("IssueToken allowed", "ExtendToken observed POLICY_DENIED",
                  "ExtendToken denied POLICY_DENIED"));
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("latchkey_policy_observed_total{reason="
                        "\"POLICY_DENIED\"} 1"));
}

TEST_F(CallFrameTest, ARateThatIsOnlyObservedRefusesNobody) {
  options_.rate_of = [](const latchkey::Identity&) {
    return CallFrame::Options::CallerRate{.rate = {0.01, 1}, .observed = true};
  };
  StartServer();
  ASSERT_THAT(Issue("a"), IsOk());
  ASSERT_THAT(Issue("a"), IsOk());
  EXPECT_THAT(Issue("a", "stranger-1"),
              ReasonIs(latchkey::reason::kPolicyDenied));
  EXPECT_THAT(audit_.Summary(), ElementsAre("IssueToken allowed",
                                            "IssueToken observed RATE_LIMITED",
                                            "IssueToken denied POLICY_DENIED"));
  EXPECT_THAT(audit_.events()[2].facts,
              Contains(Pair("observed", "RATE_LIMITED")));
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("latchkey_policy_observed_total{reason="
                        "\"RATE_LIMITED\"} 2"));
}

TEST_F(CallFrameTest, EachItemOfABatchIsCountedAndTimed) {
  StartServer();
  auto stub = latchkey::v1::TokenBroker::NewStub(Connect());
  grpc::ClientContext context;
  context.AddMetadata("who", "a");
  latchkey::v1::BatchIssueTokensRequest request;
  for (const char* node :
       {"worker-1", "stranger-1", "worker-2", "stranger-2"}) {
    request.add_requests()->mutable_scope()->set_node_name(node);
  }
  request.add_requests();  // INVALID_FIELD
  latchkey::v1::BatchIssueTokensResponse response;
  ASSERT_THAT(latchkey::FromGrpcStatus(
                  stub->BatchIssueTokens(&context, request, &response)),
              IsOk());
  const std::string text = metrics_.Text();
  for (const char* line :
       {"latchkey_refusals_total{reason=\"POLICY_DENIED\"} 2",
        "latchkey_refusals_total{reason=\"INVALID_FIELD\"} 1",
        "latchkey_rpcs_total{code=\"OK\",rpc=\"batch_item\"} 2",
        "latchkey_rpcs_total{code=\"PERMISSION_DENIED\",rpc=\"batch_item\"} 2",
        "latchkey_rpcs_total{code=\"OK\",rpc=\"batch_issue\"} 1",
        "latchkey_rpc_duration_seconds_count{outcome=\"ok\",rpc=\"batch_item\"}"
        " "
        "2"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST_F(CallFrameTest, MachinesAreLimitedByTheirAddress) {
  node_options_.peer_rate = {.per_second = 0.01, .burst = 1};
  StartServer();
  const auto key =
      latchkey::PrivateKey::Generate(latchkey::KeyType::kP256).value();
  EXPECT_THAT(Claim("x", key), ReasonIs(latchkey::reason::kTicketMalformed));
  EXPECT_THAT(Claim("x", key), ReasonIs(latchkey::reason::kRateLimited))
      << "another connection, but the same address";
}

TEST_F(CallFrameTest, WhatFindsNoRoomIsRefusedAtOnce) {
  options_.queue = {.threads = 1, .max_waiting = 0, .max_waiting_of_one = 0};
  StartServer();
  std::thread holder = HoldAThread("a");
  const auto refused = Issue("b");
  EXPECT_THAT(refused, ReasonIs(latchkey::reason::kOverloaded));
  EXPECT_THAT(
      latchkey::RetryAfterOf(refused.status()),
      ::testing::Optional(AllOf(Ge(absl::Seconds(1)), Le(absl::Seconds(2)))));
  EXPECT_TRUE(WaitUntil([&] {
    return audit_.Summary() ==
           std::vector<std::string>{"IssueToken failed OVERLOADED"};
  }));
  open_.set_value();
  holder.join();
  // The thread has answered before it is free again.
  EXPECT_TRUE(WaitUntil([&] { return Issue("b").ok(); }));
}

TEST_F(CallFrameTest, WhatCannotBeRecordedIsNotAnswered) {
  StartServer();
  audit_.Break(/*says_so=*/false);
  const auto withheld = Issue("a");
  EXPECT_THAT(withheld, ReasonIs(latchkey::reason::kAuditUnavailable));
  EXPECT_THAT(withheld, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(store_.writes(), 1);
  audit_.Mend();
  EXPECT_THAT(Issue("a"), IsOk());
}

TEST_F(CallFrameTest, NothingIsDoneWhileItIsKnownThatNothingCanBeRecorded) {
  StartServer();
  audit_.Break(/*says_so=*/true);
  EXPECT_THAT(Issue("a"), ReasonIs(latchkey::reason::kAuditUnavailable));
  EXPECT_EQ(store_.writes(), 0);
  audit_.Mend();
  EXPECT_THAT(Issue("a"), IsOk());
}

TEST_F(CallFrameTest, AStreamEndsWithItsCredentialAndThatIsOnRecord) {
  StartServer();
  authenticator_.Open();
  authenticator_.ExpireAt(absl::Now() + absl::Seconds(1));
  provisioners_->ShowAnEmptyCluster();
  auto stub = latchkey::v1::TokenBroker::NewStub(Connect());
  grpc::ClientContext context;
  context.AddMetadata("who", "a");
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::seconds(30));
  const auto reader = stub->WatchTokens(&context, {});
  latchkey::v1::WatchTokensResponse response;
  std::atomic<bool> ended = false;
  {
    // A gap is told at each list.
    const std::jthread cluster([&] {
      WaitUntil([&] {
        provisioners_->ShowAnEmptyCluster();
        return ended.load();
      });
    });
    while (reader->Read(&response)) {
    }
    ended = true;
  }
  EXPECT_THAT(latchkey::FromGrpcStatus(reader->Finish()),
              ReasonIs(latchkey::reason::kUnauthenticated));
  EXPECT_TRUE(WaitUntil([&] {
    const auto lines = audit_.Summary();
    return std::count(lines.begin(), lines.end(),
                      "WatchTokens denied UNAUTHENTICATED") == 1;
  }));
  EXPECT_THAT(
      audit_.events(),
      Contains(AllOf(::testing::Field(&AuditEvent::reason, "UNAUTHENTICATED"),
                     ::testing::Field(&AuditEvent::identity, "cn:a"))));
}

TEST_F(CallFrameTest, WhatAWatchAsksForIsOnRecord) {
  StartServer();
  provisioners_->ShowAnEmptyCluster();
  auto stub = latchkey::v1::TokenBroker::NewStub(Connect());
  latchkey::v1::WatchTokensRequest narrow;
  narrow.mutable_filter()->set_node_name("gpu-*");
  narrow.mutable_filter()->add_states(latchkey::v1::TOKEN_STATE_ISSUED);
  narrow.mutable_filter()->add_states(latchkey::v1::TOKEN_STATE_SPENT);
  (*narrow.mutable_filter()->mutable_labels())["team"] = "red";
  narrow.mutable_filter()->mutable_expires_before()->set_seconds(1'800'000'000);
  for (const auto& request : {latchkey::v1::WatchTokensRequest(), narrow}) {
    grpc::ClientContext context;
    context.AddMetadata("who", "a");
    const auto reader = stub->WatchTokens(&context, request);
    latchkey::v1::WatchTokensResponse response;
    EXPECT_TRUE(reader->Read(&response));
    context.TryCancel();
    EXPECT_FALSE(reader->Finish().ok());
  }
  const auto events = audit_.events();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].facts.at("filter"), "all");
  EXPECT_EQ(events[1].facts.at("filter"),
            "state=issued,spent labels=team=red node=gpu-* "
            "expires_before=2027-01-15T08:00:00Z");
}

TEST_F(CallFrameTest, AStreamThatCannotBeRecordedTellsNothing) {
  StartServer();
  provisioners_->ShowAnEmptyCluster();
  audit_.Break(/*says_so=*/false);
  auto stub = latchkey::v1::TokenBroker::NewStub(Connect());
  const auto watch = [&](bool& told) {
    grpc::ClientContext context;
    context.AddMetadata("who", "a");
    const auto reader = stub->WatchTokens(&context, {});
    latchkey::v1::WatchTokensResponse response;
    told = reader->Read(&response);
    if (told) context.TryCancel();  // else it has ended
    return latchkey::FromGrpcStatus(reader->Finish());
  };
  bool told = false;
  for (int i = 0; i < 20; ++i) {
    const absl::Status status = watch(told);
    EXPECT_FALSE(told);
    EXPECT_THAT(status, ReasonIs(latchkey::reason::kAuditUnavailable));
  }
  audit_.Mend();
  EXPECT_THAT(watch(told), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_TRUE(told);
}

// What a batch does: decisions of their own within a call. And a stream.
class OtherCalls final : public latchkey::v1::TokenBroker::CallbackService {
 public:
  explicit OtherCalls(CallFrame& frame) : frame_(frame) {}

  grpc::ServerUnaryReactor* BatchIssueTokens(
      grpc::CallbackServerContext* context,
      const latchkey::v1::BatchIssueTokensRequest* request,
      latchkey::v1::BatchIssueTokensResponse* /*response*/) override {
    return frame_.Unary(
        *context, Rpc::kBatchIssueTokens,
        [=](Call& call) {
          for (const auto& one : request->requests()) {
            call.items.push_back(
                {.action = "IssueToken",
                 .facts = {{"node", one.scope().node_name()}}});
          }
          call.audit.facts["count"] = std::to_string(request->requests_size());
          return absl::OkStatus();
        },
        request->requests_size());
  }

  grpc::ServerWriteReactor<latchkey::v1::WatchTokensResponse>* WatchTokens(
      grpc::CallbackServerContext* context,
      const latchkey::v1::WatchTokensRequest* request) override {
    auto* watch = new Watch;
    frame_.Stream(
        *context, Rpc::kWatchTokens,
        [=](Call& call) {
          if (request->cursor() == "busy") {
            return absl::ResourceExhaustedError("429");
          }
          if (request->cursor() == "gone") return latchkey::CallerGone();
          if (request->cursor() == "bad") {
            return latchkey::Refuse(absl::StatusCode::kInvalidArgument,
                                    latchkey::reason::kInvalidField, "cursor",
                                    {{"field", "cursor"}});
          }
          call.audit.facts["filter"] = "all";
          watch->Admit(call.identity.name);
          return absl::OkStatus();
        },
        [watch] { watch->Begin(); },
        [watch](const grpc::Status& status) { watch->Finish(status); });
    return watch;
  }

 private:
  class Watch final
      : public grpc::ServerWriteReactor<latchkey::v1::WatchTokensResponse> {
   public:
    void Admit(const std::string& who) { response_.set_cursor(who); }
    void Begin() { StartWriteAndFinish(&response_, {}, grpc::Status::OK); }
    void OnDone() override { delete this; }

   private:
    latchkey::v1::WatchTokensResponse response_;
  };
  CallFrame& frame_;
};

class OtherCallsTest : public CallFrameTest {
 protected:
  void SetUp() override {
    options_.rate_of = [](const latchkey::Identity&) {
      return CallFrame::Options::CallerRate{.rate = {0.01, 10}};
    };
    frame_ = std::make_unique<CallFrame>(options_, authenticator_, audit_,
                                         metrics_, clock_);
    calls_ = std::make_unique<OtherCalls>(*frame_);
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(calls_.get());
    server_ = builder.BuildAndStart();
    endpoint_ = "127.0.0.1:" + std::to_string(port);
  }
  grpc::Status Watch(const std::string& who, const std::string& cursor,
                     std::string& answer) {
    auto stub = latchkey::v1::TokenBroker::NewStub(Connect());
    grpc::ClientContext context;
    context.AddMetadata("who", who);
    latchkey::v1::WatchTokensRequest request;
    request.set_cursor(cursor);
    const auto reader = stub->WatchTokens(&context, request);
    latchkey::v1::WatchTokensResponse response;
    if (reader->Read(&response)) answer = response.cursor();
    return reader->Finish();
  }
  std::unique_ptr<OtherCalls> calls_;
};

TEST_F(OtherCallsTest, EachItemIsADecisionAndCostsAsOne) {
  auto stub = latchkey::v1::TokenBroker::NewStub(Connect());
  latchkey::v1::BatchIssueTokensRequest request;
  request.add_requests()->mutable_scope()->set_node_name("worker-1");
  for (int i = 0; i < 9; ++i) request.add_requests();
  const auto call = [&] {
    grpc::ClientContext context;
    context.AddMetadata("who", "a");
    latchkey::v1::BatchIssueTokensResponse response;
    return latchkey::FromGrpcStatus(
        stub->BatchIssueTokens(&context, request, &response));
  };
  EXPECT_THAT(call(), IsOk());
  EXPECT_THAT(call(), ReasonIs(latchkey::reason::kRateLimited));
  const auto events = audit_.events();
  ASSERT_GE(events.size(), 11U);
  EXPECT_EQ(events[0].identity, "cn:a");
  EXPECT_EQ(events[0].facts.at("node"), "worker-1");
  EXPECT_EQ(events[10].action, "BatchIssueTokens");
  EXPECT_EQ(events[10].facts.at("count"), "10");
}

TEST_F(OtherCallsTest, AClusterWithTooMuchToDoIsNoDenial) {
  std::string answer;
  EXPECT_THAT(latchkey::FromGrpcStatus(Watch("a", "busy", answer)),
              ReasonIs(latchkey::reason::kOverloaded));
  EXPECT_THAT(audit_.Summary(), ElementsAre("WatchTokens failed OVERLOADED"));
}

TEST_F(OtherCallsTest, ACallerWhoIsGoneIsNoFailureOfTheCluster) {
  std::string answer;
  EXPECT_EQ(Watch("a", "gone", answer).error_code(),
            grpc::StatusCode::CANCELLED);
  EXPECT_THAT(audit_.Summary(), ElementsAre("WatchTokens failed CALLER_GONE"));
}

TEST_F(OtherCallsTest, AStreamIsAdmittedAndRecordedLikeACall) {
  std::string answer;
  EXPECT_TRUE(Watch("a", "", answer).ok());
  EXPECT_EQ(answer, "cn:a");
  EXPECT_THAT(latchkey::FromGrpcStatus(Watch("a", "bad", answer)),
              ReasonIs(latchkey::reason::kInvalidField));
  EXPECT_THAT(latchkey::FromGrpcStatus(Watch("", "", answer)),
              ReasonIs(latchkey::reason::kUnauthenticated));
  EXPECT_THAT(audit_.Summary(),
              ::testing::IsSupersetOf(
                  {"WatchTokens allowed", "WatchTokens denied INVALID_FIELD"}));
}

}  // namespace
}  // namespace latchkey_testing
