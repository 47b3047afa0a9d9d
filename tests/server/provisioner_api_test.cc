// Every unary RPC of latchkey.v1.TokenBroker through a real port with mutual
// TLS, over a store in memory.

#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>

#include "clients/broker/broker_channel.h"
#include "clients/broker/grpc_error.h"
#include "clients/log/event_log.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "core/ticket.h"
#include "crypto/certificate_request.h"
#include "crypto/private_key.h"
#include "latchkey/v1/node_bootstrap.grpc.pb.h"
#include "latchkey/v1/token_broker.grpc.pb.h"
#include "server/grpc_listener.h"
#include "services/authenticator.h"
#include "services/broker_metrics.h"
#include "services/call_credentials.h"
#include "services/call_frame.h"
#include "services/node_bootstrap_service.h"
#include "storage/memory_token_store.h"
#include "tests/e2e/test_pki.h"
#include "tests/fakes/flaky_token_store.h"
#include "tests/fakes/provisioner_side.h"
#include "tests/fakes/recording_audit_log.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::FakeClock;
using latchkey_testing::FlakyTokenStore;
using latchkey_testing::IsOk;
using latchkey_testing::kAutoscaler;
using latchkey_testing::ProvisionerSide;
using latchkey_testing::ReasonIs;
using latchkey_testing::RecordingAuditLog;
using latchkey_testing::StatusIs;
using latchkey_testing::TestPki;
using ::testing::Contains;
using ::testing::Each;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

constexpr char kOther[] = "spiffe://example.org/other";
constexpr char kOperator[] = "spiffe://example.org/operator";
constexpr char kStranger[] = "spiffe://example.org/stranger";

class ProvisionerApiTest : public ::testing::Test {
 protected:
  static std::vector<PolicyRule> Rules() {
    const auto named = [](const char* id) {
      return IdentityMatcher{{{"spiffe_id", id}}};
    };
    return {{.name = "workers",
             .provisioners = {named(kAutoscaler), named(kOther)},
             .node_names = {"worker-*"},
             .delivery = {Delivery::kTicket, Delivery::kDirect},
             .max_token_lifetime = absl::Hours(2)},
            {.name = "operators",
             .provisioners = {named(kOperator)},
             .manage = Reach::kAll}};
  }
  ListenerConfig Listen() {
    const auto files = pki_.Save("server", pki_.Server());
    return {.listen = "127.0.0.1:0",
            .certificate_file = files.certificate,
            .private_key_file = files.private_key,
            .client_ca_file = pki_.ca_file()};
  }
  std::unique_ptr<v1::TokenBroker::Stub> As(const std::string& who) {
    const IssuedIdentity identity = pki_.Client(who);
    return v1::TokenBroker::NewStub(OpenBrokerChannel(
        {.endpoint = fmt::format("localhost:{}", port_->port()),
         .certificate_authorities = pki_.ca_pem(),
         .certificate_pem = identity.certificate_pem,
         .private_key_pem = identity.private_key_pem}));
  }
  template <typename Request, typename Response>
  using Method = grpc::Status (v1::TokenBroker::Stub::*)(grpc::ClientContext*,
                                                         const Request&,
                                                         Response*);
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(const std::string& who,
                                Method<Request, Response> method,
                                const Request& request) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(30)));
    Response response;
    const auto stub = As(who);
    const absl::Status status =
        FromGrpcStatus((stub.get()->*method)(&context, request, &response));
    if (!status.ok()) return status;
    return response;
  }
  // Makes the call, whose client gives up while its first write is in hand, and
  // waits for the broker to end it.
  template <typename Request, typename Response>
  void HangUpAtTheFirstWrite(Method<Request, Response> method,
                             const Request& request) {
    std::latch begun(1);
    std::latch go_on(1);
    store_.BeforeNextWrite([&] {
      begun.count_down();
      go_on.wait();
    });
    const auto stub = As(kAutoscaler);
    grpc::ClientContext context;
    std::jthread hang_up([&] {
      begun.wait();
      context.TryCancel();
    });
    Response response;
    EXPECT_EQ((stub.get()->*method)(&context, request, &response).error_code(),
              grpc::StatusCode::CANCELLED);
    // Answered on the same connection, so the server has heard of it.
    for (int i = 0; i < 10; ++i) {
      grpc::ClientContext next;
      v1::ListTokensResponse none;
      EXPECT_TRUE(stub->ListTokens(&next, {}, &none).ok());
    }
    go_on.count_down();
    port_.reset();  // waits for the call
  }
  std::string Issue(const std::string& who, const std::string& node) {
    v1::IssueTokenRequest request;
    request.mutable_scope()->set_node_name(node);
    const auto issued = Call(who, &v1::TokenBroker::Stub::IssueToken, request);
    EXPECT_THAT(issued, IsOk());
    return issued.ok() ? issued->token().id() : "";
  }
  static v1::BatchIssueTokensRequest Batch(int count) {
    v1::BatchIssueTokensRequest batch;
    for (int i = 0; i < count; ++i) {
      auto& item = *batch.add_requests();
      item.mutable_scope()->set_node_name(fmt::format("worker-{}", i));
      item.set_request_id(fmt::format("request-{:06}", i));
    }
    return batch;
  }
  size_t Records() {
    return memory_.List({.filter = {}, .page_size = 100'000})->tokens.size();
  }

  TestPki pki_;
  // Certificates are made, and judged, as of now.
  FakeClock clock_{absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now()))};
  MemoryTokenStore memory_{clock_};
  FlakyTokenStore store_{memory_};
  LivePolicy policy_{Policy(Rules())};
  RecordingAuditLog audit_;
  MisuseGuard misuse_{store_, policy_, audit_, clock_};
  RecordIndex index_;
  TokenBroker broker_{{}, store_, policy_, misuse_, index_, clock_};
  const ClusterSource cluster_ = [] {
    return ClusterEndpoints{.api_servers = {"https://10.0.0.1:6443"},
                            .certificate_authorities = "PEM"};
  };
  BrokerMetrics metrics_;
  Authenticator authenticator_{nullptr, {}, clock_};
  CredentialAuthenticator callers_{authenticator_};
  CallFrame frame_{
      {.queue = {.threads = 4}}, callers_, audit_, metrics_, clock_};
  ProvisionerSide side_{broker_, store_, policy_, cluster_, frame_, clock_};
  NodeBootstrapService node_service_{broker_, cluster_, frame_};
  std::unique_ptr<GrpcListener> port_ =
      GrpcListener::Start(Listen(), ClientCertificates::kRequired,
                          side_.service(), {.max_request_bytes = 4 << 20})
          .value();
};

TEST_F(ProvisionerApiTest, AnOwnersTokenIsReadListedExtendedAndRevoked) {
  const std::string id = Issue(kAutoscaler, "worker-1");
  Issue(kOther, "worker-2");

  v1::GetTokenRequest get;
  get.set_id(id);
  const auto token = Call(kAutoscaler, &v1::TokenBroker::Stub::GetToken, get);
  ASSERT_THAT(token, IsOk());
  EXPECT_EQ(token->scope().node_name(), "worker-1");
  EXPECT_EQ(token->rule(), "workers");

  const auto listed = Call(kAutoscaler, &v1::TokenBroker::Stub::ListTokens,
                           v1::ListTokensRequest());
  ASSERT_THAT(listed, IsOk());
  ASSERT_EQ(listed->tokens_size(), 1);
  EXPECT_EQ(listed->tokens(0).id(), id);

  v1::ExtendTokenRequest extend;
  extend.set_id(id);
  extend.mutable_expire_time()->set_seconds(token->expire_time().seconds() +
                                            600);
  const auto extended =
      Call(kAutoscaler, &v1::TokenBroker::Stub::ExtendToken, extend);
  ASSERT_THAT(extended, IsOk());
  EXPECT_EQ(extended->expire_time().seconds(), extend.expire_time().seconds());

  v1::RevokeTokenRequest revoke;
  revoke.set_id(id);
  revoke.set_reason("lost in mail");
  const auto revoked =
      Call(kAutoscaler, &v1::TokenBroker::Stub::RevokeToken, revoke);
  ASSERT_THAT(revoked, IsOk());
  ASSERT_EQ(revoked->tokens_size(), 1);
  EXPECT_EQ(revoked->tokens(0).revocation().revoked_by(), kAutoscaler);

  v1::ExplainTokenRequest explain;
  explain.set_id(id);
  const auto lineage =
      Call(kAutoscaler, &v1::TokenBroker::Stub::ExplainToken, explain);
  ASSERT_THAT(lineage, IsOk());
  ASSERT_EQ(lineage->steps_size(), 2);
  EXPECT_EQ(lineage->steps(0).type(), v1::TokenEvent::ISSUED);
  EXPECT_EQ(lineage->steps(1).type(), v1::TokenEvent::REVOKED);
}

TEST_F(ProvisionerApiTest, AnothersTokenIsToEveryVerbAsIfItDidNotExist) {
  const std::string id = Issue(kAutoscaler, "worker-1");
  const auto unknown = [](const absl::Status& status) {
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound));
    EXPECT_THAT(status, ReasonIs(reason::kTokenUnknown));
    return status.ToString();
  };
  const auto get = [&](const std::string& which) {
    v1::GetTokenRequest request;
    request.set_id(which);
    return unknown(
        Call(kOther, &v1::TokenBroker::Stub::GetToken, request).status());
  };
  const auto revoke = [&](const std::string& which) {
    v1::RevokeTokenRequest request;
    request.set_id(which);
    request.set_reason("x");
    return unknown(
        Call(kOther, &v1::TokenBroker::Stub::RevokeToken, request).status());
  };
  const auto extend = [&](const std::string& which) {
    v1::ExtendTokenRequest request;
    request.set_id(which);
    request.mutable_expire_time()->set_seconds(1'900'000'000);
    return unknown(
        Call(kOther, &v1::TokenBroker::Stub::ExtendToken, request).status());
  };
  const auto explain = [&](const std::string& which) {
    v1::ExplainTokenRequest request;
    request.set_id(which);
    return unknown(
        Call(kOther, &v1::TokenBroker::Stub::ExplainToken, request).status());
  };
  EXPECT_EQ(get(id), get("zzzzzz"));
  EXPECT_EQ(revoke(id), revoke("zzzzzz"));
  EXPECT_EQ(extend(id), extend("zzzzzz"));
  EXPECT_EQ(explain(id), explain("zzzzzz"));

  v1::GetTokenRequest request;
  request.set_id(id);
  EXPECT_THAT(Call(kOperator, &v1::TokenBroker::Stub::GetToken, request),
              IsOk())
      << "manages all";
  EXPECT_THAT(Call(kStranger, &v1::TokenBroker::Stub::GetToken, request),
              ReasonIs(reason::kPolicyDenied));
}

TEST_F(ProvisionerApiTest, EachRpcIsAuthorizedAsItIsDeclared) {
  const auto node_port =
      GrpcListener::Start(Listen(), ClientCertificates::kNotAsked,
                          node_service_, {})
          .value();
  side_.ShowAnEmptyCluster();
  v1::IssueTokenRequest mine;
  mine.mutable_scope()->set_node_name("worker-1");
  const auto issued =
      Call(kAutoscaler, &v1::TokenBroker::Stub::IssueToken, mine);
  ASSERT_THAT(issued, IsOk());
  const std::string id = issued->token().id();
  const Ticket ticket = Ticket::FromSecret(*TokenId::Parse(id),
                                           SecretString(std::string(32, 'a')))
                            .value();

  // Calls an RPC about that token, or those of its kind; answers how it ended,
  // and how much of it was shown. Another RPC does not compile without a line
  // here, and is not served without a declaration.
  struct Outcome {
    absl::Status status;
    int shown = 0;
  };
  using Stub = v1::TokenBroker::Stub;
  const auto call = [&](Rpc rpc, const std::string& who) -> Outcome {
    switch (rpc) {
      case Rpc::kIssueToken:
        return {Call(who, &Stub::IssueToken, mine).status(), 1};
      case Rpc::kBatchIssueTokens: {
        const auto answer = Call(who, &Stub::BatchIssueTokens, Batch(1));
        if (!answer.ok()) return {answer.status()};
        const v1::ItemError& error = answer->results(0).error();
        if (error.code() == 0) return {absl::OkStatus(), 1};
        return {Refuse(static_cast<absl::StatusCode>(error.code()),
                       error.reason(), error.message())};
      }
      case Rpc::kGetToken: {
        v1::GetTokenRequest request;
        request.set_id(id);
        return {Call(who, &Stub::GetToken, request).status(), 1};
      }
      case Rpc::kListTokens: {
        const auto answer =
            Call(who, &Stub::ListTokens, v1::ListTokensRequest());
        return {answer.status(), answer.ok() ? answer->tokens_size() : 0};
      }
      case Rpc::kRevokeToken: {
        v1::RevokeTokenRequest request;
        request.set_id(id);
        request.set_reason("x");
        return {Call(who, &Stub::RevokeToken, request).status(), 1};
      }
      case Rpc::kExtendToken: {
        v1::ExtendTokenRequest request;
        request.set_id(id);
        request.mutable_expire_time()->set_seconds(
            absl::ToUnixSeconds(clock_.Now() + absl::Hours(1)));
        return {Call(who, &Stub::ExtendToken, request).status(), 1};
      }
      case Rpc::kWatchTokens: {
        grpc::ClientContext context;
        const auto stub = As(who);
        const auto reader = stub->WatchTokens(&context, {});
        v1::WatchTokensResponse news;
        if (!reader->Read(&news)) return {FromGrpcStatus(reader->Finish())};
        context.TryCancel();
        (void)reader->Finish();
        return {absl::OkStatus(), news.has_event() ? 1 : 0};
      }
      case Rpc::kExplainToken: {
        v1::ExplainTokenRequest request;
        request.set_id(id);
        return {Call(who, &Stub::ExplainToken, request).status(), 1};
      }
      case Rpc::kClaimToken: {
        const auto key = PrivateKey::Generate(KeyType::kP256).value();
        const auto stub = v1::NodeBootstrap::NewStub(OpenBrokerChannel(
            {.endpoint = fmt::format("localhost:{}", node_port->port()),
             .certificate_authorities = pki_.ca_pem()}));
        grpc::ClientContext context;
        v1::ClaimTokenRequest request;
        request.set_ticket(std::string(ticket.text().Reveal()));
        request.set_node_name("worker-1");
        request.set_certificate_signing_request(
            BuildCertificateRequest(key, {.common_name = "system:node:worker-1",
                                          .organizations = {"system:nodes"}})
                .value());
        v1::ClaimTokenResponse response;
        return {FromGrpcStatus(stub->ClaimToken(&context, request, &response)),
                1};
      }
    }
    return {absl::InternalError("no such RPC")};
  };

  for (const RpcDeclaration& one : RpcTable()) {
    SCOPED_TRACE(one.method);
    switch (one.authorization) {
      case RpcAuthorization::kGrant:
        EXPECT_THAT(call(one.rpc, kAutoscaler).status, IsOk());
        EXPECT_THAT(call(one.rpc, kOperator).status,
                    ReasonIs(reason::kPolicyDenied))
            << "it may manage all, and is granted nothing";
        break;
      case RpcAuthorization::kOwner:
        EXPECT_THAT(call(one.rpc, kOther).status,
                    ReasonIs(reason::kTokenUnknown));
        EXPECT_THAT(call(one.rpc, kStranger).status,
                    ReasonIs(reason::kPolicyDenied));
        break;
      case RpcAuthorization::kReach: {
        const Outcome other = call(one.rpc, kOther);
        EXPECT_THAT(other.status, IsOk());
        EXPECT_EQ(other.shown, 0);
        EXPECT_THAT(call(one.rpc, kStranger).status,
                    ReasonIs(reason::kPolicyDenied));
        break;
      }
      case RpcAuthorization::kTicket:
        EXPECT_THAT(call(one.rpc, kAutoscaler).status,
                    ReasonIs(reason::kTicketUnknown));
        break;
    }
  }
  // Nobody of these did anything to it.
  EXPECT_EQ(memory_.Find(*TokenId::Parse(id))->record.state,
            TokenState::kIssued);
  for (const RpcDeclaration& one : RpcTable()) {
    if (one.authorization != RpcAuthorization::kOwner) continue;
    SCOPED_TRACE(one.method);
    const std::string why = ReasonOf(call(one.rpc, kOperator).status);
    EXPECT_TRUE(why.empty() || why == reason::kTokenRevoked)
        << "it manages all, and is told " << why;
  }
}

TEST_F(ProvisionerApiTest, ARevocationByFilterIsPreviewedAndDone) {
  for (int i = 0; i < 3; ++i) Issue(kAutoscaler, fmt::format("worker-{}", i));
  v1::RevokeTokenRequest request;
  request.mutable_filter()->set_node_name("worker-*");
  request.set_reason("a bad image");
  request.set_validate_only(true);
  const auto preview =
      Call(kAutoscaler, &v1::TokenBroker::Stub::RevokeToken, request);
  ASSERT_THAT(preview, IsOk());
  EXPECT_EQ(preview->tokens_size(), 3);
  EXPECT_EQ(preview->tokens(0).state(), v1::TOKEN_STATE_ISSUED);
  request.set_validate_only(false);
  const auto revoked =
      Call(kAutoscaler, &v1::TokenBroker::Stub::RevokeToken, request);
  ASSERT_THAT(revoked, IsOk());
  EXPECT_EQ(revoked->tokens_size(), 3);
  EXPECT_EQ(revoked->tokens(0).state(), v1::TOKEN_STATE_REVOKED);
  EXPECT_EQ(revoked->failed_size(), 0);

  // Each that was cut off is a record of its own; what was previewed is none.
  std::vector<std::string> ids;
  for (const auto& token : revoked->tokens()) ids.push_back(token.id());
  std::vector<std::string> recorded;
  for (const AuditEvent& event : audit_.events()) {
    if (event.action != "token.revoke") continue;
    recorded.push_back(event.token_id);
    EXPECT_EQ(event.verdict, AuditVerdict::kAllowed);
    EXPECT_EQ(event.identity, kAutoscaler);
    EXPECT_EQ(event.rule, "workers");
    EXPECT_EQ(event.token_uid,
              memory_.Find(*TokenId::Parse(event.token_id))->uid);
    EXPECT_EQ(event.facts.at("node").substr(0, 7), "worker-");
    EXPECT_EQ(event.facts.at("why"), "a bad image");
  }
  EXPECT_THAT(recorded, ::testing::UnorderedElementsAreArray(ids));
  EXPECT_EQ(audit_.events().back().action, "RevokeToken");
  EXPECT_EQ(audit_.events().back().facts.at("count"), "3");
  EXPECT_EQ(audit_.events().back().facts.at("why"), "a bad image");
}

TEST_F(ProvisionerApiTest, ABatchAnswersEachItemInItsPlace) {
  v1::BatchIssueTokensRequest batch = Batch(100);
  batch.mutable_requests(3)->mutable_scope()->set_node_name("vault-1");
  const auto answer =
      Call(kAutoscaler, &v1::TokenBroker::Stub::BatchIssueTokens, batch);
  ASSERT_THAT(answer, IsOk());
  ASSERT_EQ(answer->results_size(), 100);
  EXPECT_EQ(answer->results(3).error().reason(), "POLICY_DENIED");
  EXPECT_EQ(answer->results(3).error().metadata().at("field"),
            "scope.node_name");
  EXPECT_EQ(answer->results(4).issued().token().scope().node_name(),
            "worker-4");
  EXPECT_EQ(answer->cluster().api_servers(0), "https://10.0.0.1:6443");
  EXPECT_EQ(Records(), 99U);
}

TEST_F(ProvisionerApiTest, ARepetitionIsTiedToItsFirstCallOnRecord) {
  v1::BatchIssueTokensRequest batch = Batch(2);
  const v1::IssueTokenRequest first = batch.requests(0);
  batch.mutable_requests(1)->mutable_scope()->set_node_name("vault-1");
  // The answer is lost, and nobody knows whether anything was written.
  for (int i = 0; i < 3; ++i) {
    store_.LoseNextWrite(FlakyTokenStore::Loses::kRequest);
  }
  EXPECT_THAT(Call(kAutoscaler, &v1::TokenBroker::Stub::IssueToken, first),
              ReasonIs(reason::kClusterUnavailable));
  ASSERT_THAT(Call(kAutoscaler, &v1::TokenBroker::Stub::IssueToken, first),
              IsOk());
  ASSERT_THAT(
      Call(kAutoscaler, &v1::TokenBroker::Stub::BatchIssueTokens, batch),
      IsOk());
  ASSERT_THAT(Call(kOther, &v1::TokenBroker::Stub::IssueToken, first), IsOk());
  Issue(kAutoscaler, "worker-1");  // without a request_id

  std::vector<std::string> requests;
  for (const AuditEvent& event : audit_.events()) {
    if (event.action != "IssueToken") continue;
    requests.push_back(event.facts.at("request"));
    EXPECT_THAT(event.facts,
                Each(Field(&std::pair<const std::string, std::string>::second,
                           Not(HasSubstr(first.request_id())))));
  }
  ASSERT_EQ(requests.size(), 6U);
  EXPECT_EQ(requests[0], requests[1]);
  EXPECT_EQ(requests[2], requests[0]) << "an item of a batch";
  EXPECT_NE(requests[3], requests[0]) << "another item, which was denied";
  EXPECT_NE(requests[4], requests[0]) << "another provisioner's";
  EXPECT_NE(requests[5], requests[0]);
  const auto stored = memory_.List({.filter = {}, .page_size = 10});
  std::vector<std::string> kept;
  for (const auto& token : stored->tokens) {
    kept.push_back(token.record.request_key);
  }
  EXPECT_THAT(kept, ::testing::UnorderedElementsAre(requests[0], requests[4],
                                                    requests[5]));
}

TEST_F(ProvisionerApiTest, AWrongBatchIsRefusedNamingTheItem) {
  v1::BatchIssueTokensRequest batch = Batch(20);
  batch.mutable_requests(17)->set_request_id("request-000003");
  const auto refused =
      Call(kAutoscaler, &v1::TokenBroker::Stub::BatchIssueTokens, batch);
  EXPECT_THAT(refused, ReasonIs(reason::kInvalidField));
  EXPECT_THAT(MetadataOf(refused.status()),
              Contains(Pair("field", "requests[17].request_id")));
  EXPECT_EQ(Records(), 0U);
}

// A thousand items with all the labels and groups that they may have.
TEST_F(ProvisionerApiTest, TheLargestBatchOfUsualItemsIsTaken) {
  v1::BatchIssueTokensRequest batch = Batch(1000);
  for (auto& item : *batch.mutable_requests()) {
    for (int i = 0; i < 16; ++i) {
      (*item.mutable_labels())[fmt::format(
          "key-{:02}-{}", i, std::string(40, 'k'))] = std::string(60, 'v');
    }
  }
  EXPECT_GT(batch.ByteSizeLong(), 1'500'000U);
  const auto answer =
      Call(kAutoscaler, &v1::TokenBroker::Stub::BatchIssueTokens, batch);
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(Records(), 1000U);
}

TEST_F(ProvisionerApiTest, TheNodePortTakesNoLargeRequests) {
  const auto node_port =
      GrpcListener::Start(Listen(), ClientCertificates::kNotAsked,
                          node_service_, {})
          .value();
  const auto stub = v1::NodeBootstrap::NewStub(OpenBrokerChannel(
      {.endpoint = fmt::format("localhost:{}", node_port->port()),
       .certificate_authorities = pki_.ca_pem()}));
  v1::ClaimTokenRequest request;
  request.set_certificate_signing_request(std::string(65 << 10, 'x'));
  grpc::ClientContext context;
  v1::ClaimTokenResponse response;
  EXPECT_EQ(stub->ClaimToken(&context, request, &response).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(ProvisionerApiTest, AClientThatHangsUpEndsItsBatch) {
  HangUpAtTheFirstWrite(&v1::TokenBroker::Stub::BatchIssueTokens, Batch(1000));
  EXPECT_LT(Records(), 1000U);
  // Of what was not begun nothing was decided.
  std::vector<AuditEvent> events = audit_.events();
  std::erase_if(events, [](const AuditEvent& event) {
    return event.action == "ListTokens";
  });
  ASSERT_EQ(events.size(), Records() + 1);
  EXPECT_THAT(events,
              Each(Field(&AuditEvent::verdict, AuditVerdict::kAllowed)));
  EXPECT_EQ(events.back().action, "BatchIssueTokens");
  EXPECT_EQ(events.back().facts.at("not_begun"),
            std::to_string(1000 - Records()));
}

TEST_F(ProvisionerApiTest, AnItemThatFailsIsLoggedOnce) {
  for (int i = 0; i < 3; ++i) {
    store_.LoseNextWrite(FlakyTokenStore::Loses::kRequest);
  }
  ::testing::internal::CaptureStderr();
  StartLogging(LogLevel::kWarning);
  const auto answer =
      Call(kAutoscaler, &v1::TokenBroker::Stub::BatchIssueTokens, Batch(1));
  const std::string log = ::testing::internal::GetCapturedStderr();
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->results(0).error().reason(), "CLUSTER_UNAVAILABLE");
  size_t lines = 0;
  for (size_t at = log.find("call failed"); at != std::string::npos;
       at = log.find("call failed", at + 1)) {
    ++lines;
  }
  EXPECT_EQ(lines, 1U) << log;
}

TEST_F(ProvisionerApiTest, ARevocationThatFailsIsRecordedWithItsToken) {
  const std::string id = Issue(kAutoscaler, "worker-1");
  const auto lose = [this] {
    for (int i = 0; i < 3; ++i) {
      store_.LoseNextWrite(FlakyTokenStore::Loses::kRequest);
    }
  };
  v1::RevokeTokenRequest request;
  request.mutable_filter()->set_node_name("worker-*");
  request.set_reason("a bad image");
  lose();
  const auto by_filter =
      Call(kAutoscaler, &v1::TokenBroker::Stub::RevokeToken, request);
  ASSERT_THAT(by_filter, IsOk());
  ASSERT_EQ(by_filter->failed_size(), 1);
  EXPECT_EQ(by_filter->failed(0).error().reason(), "CLUSTER_UNAVAILABLE");
  std::vector<AuditEvent> events = audit_.events();
  ASSERT_GE(events.size(), 2U);
  const AuditEvent& failed = events[events.size() - 2];
  EXPECT_EQ(failed.action, "token.revoke");
  EXPECT_EQ(failed.verdict, AuditVerdict::kFailed);
  EXPECT_EQ(failed.reason, "CLUSTER_UNAVAILABLE");
  EXPECT_EQ(failed.identity, kAutoscaler);
  EXPECT_EQ(failed.token_id, id);
  EXPECT_FALSE(failed.token_uid.empty());
  EXPECT_EQ(failed.facts.at("node"), "worker-1");
  EXPECT_EQ(failed.facts.at("why"), "a bad image");
  EXPECT_EQ(events.back().facts.at("count"), "0");

  request.set_id(id);
  lose();
  EXPECT_THAT(Call(kAutoscaler, &v1::TokenBroker::Stub::RevokeToken, request),
              ReasonIs("CLUSTER_UNAVAILABLE"));
  events = audit_.events();
  EXPECT_EQ(events.back().action, "RevokeToken");
  EXPECT_EQ(events.back().token_id, id);
  EXPECT_EQ(events.back().facts.at("why"), "a bad image");
}

TEST_F(ProvisionerApiTest, AClientThatHangsUpEndsItsRevocation) {
  for (int i = 0; i < 20; ++i) Issue(kAutoscaler, fmt::format("worker-{}", i));
  v1::RevokeTokenRequest request;
  request.mutable_filter()->set_node_name("worker-*");
  request.set_reason("a bad image");
  const int before = store_.writes();
  HangUpAtTheFirstWrite(&v1::TokenBroker::Stub::RevokeToken, request);
  EXPECT_EQ(store_.writes() - before, 1);
}

}  // namespace
}  // namespace latchkey
