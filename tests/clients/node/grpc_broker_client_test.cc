#include "clients/node/grpc_broker_client.h"

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include "core/mutex.h"
#include "core/refusal.h"
#include "google/rpc/error_details.pb.h"
#include "latchkey/v1/node_bootstrap.grpc.pb.h"
#include "tests/e2e/test_pki.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::ReasonIs;
using latchkey_testing::StatusIs;
using latchkey_testing::TestPki;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kToken[] = "abcdef.0123456789abcdef";

Ticket TestTicket() {
  return *Ticket::FromSecret(*TokenId::Parse("abcdef"),
                             SecretString(std::string(32, 'z')));
}

class ScriptedBroker final : public v1::NodeBootstrap::Service {
 public:
  grpc::Status ClaimToken(grpc::ServerContext* context,
                          const v1::ClaimTokenRequest* request,
                          v1::ClaimTokenResponse* response) override {
    {
      const MutexLock lock(mutex_);
      callers_.insert(context->peer());
    }
    return answer(*request, *response);
  }

  std::function<grpc::Status(const v1::ClaimTokenRequest&,
                             v1::ClaimTokenResponse&)>
      answer;

  // From how many connections it was called.
  size_t connections() {
    const MutexLock lock(mutex_);
    return callers_.size();
  }

 private:
  Mutex mutex_;
  std::set<std::string> callers_ ABSL_GUARDED_BY(mutex_);
};

const NodeClaim kClaim = {
    .ticket = TestTicket(), .node_name = "node-1", .csr_pem = "CSR"};

class GrpcBrokerClientTest : public ::testing::Test {
 protected:
  GrpcBrokerClientTest() {
    const IssuedIdentity identity = pki_.Server();
    grpc::SslServerCredentialsOptions tls;
    tls.pem_key_cert_pairs.push_back(
        {std::string(identity.private_key_pem.Reveal()),
         identity.certificate_pem});
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(tls),
                             &port_);
    builder.RegisterService(&broker_);
    server_ = builder.BuildAndStart();
    broker_.answer = [](const auto&, v1::ClaimTokenResponse& response) {
      response.set_bootstrap_token(kToken);
      response.mutable_cluster()->add_api_servers("https://10.0.0.1:6443");
      response.mutable_cluster()->set_certificate_authorities("CA");
      response.set_certificate_expiration_seconds(7200);
      return grpc::Status::OK;
    };
  }

  GrpcBrokerClient Client() const {
    return GrpcBrokerClient({.address = "127.0.0.1:" + std::to_string(port_),
                             .ca_pem = ca_pem_,
                             .server_name = server_name_});
  }
  absl::StatusOr<BootstrapGrant> Claim(
      absl::Duration timeout = absl::Seconds(20)) {
    return Client().Claim(kClaim, timeout);
  }

  TestPki pki_;
  std::string ca_pem_ = pki_.ca_pem();
  std::string server_name_;
  ScriptedBroker broker_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(GrpcBrokerClientTest, CarriesTheClaimAndItsAnswer) {
  v1::ClaimTokenRequest seen;
  broker_.answer = [&, inner = broker_.answer](const auto& request,
                                               auto& response) {
    seen = request;
    return inner(request, response);
  };
  const auto grant = Claim();
  ASSERT_THAT(grant, IsOk());
  EXPECT_EQ(seen.ticket(), TestTicket().text().Reveal());
  EXPECT_EQ(seen.node_name(), "node-1");
  EXPECT_EQ(seen.certificate_signing_request(), "CSR");
  EXPECT_EQ(grant->token.Joined().Reveal(), kToken);
  EXPECT_THAT(grant->api_servers, ElementsAre("https://10.0.0.1:6443"));
  EXPECT_EQ(grant->ca_pem, "CA");
  EXPECT_EQ(grant->certificate_expiration_seconds, 7200);
}

TEST_F(GrpcBrokerClientTest, CarriesARefusalWithItsReasonAndDelay) {
  broker_.answer = [](const auto&, auto&) {
    google::rpc::ErrorInfo info;
    info.set_reason("TICKET_UNKNOWN");
    info.set_domain("latchkey.dev");
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(3);
    google::rpc::Status details;
    details.add_details()->PackFrom(info);
    details.add_details()->PackFrom(retry);
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "no such ticket",
                        details.SerializeAsString());
  };
  const auto grant = Claim();
  EXPECT_THAT(grant, StatusIs(absl::StatusCode::kNotFound, "no such ticket"));
  EXPECT_THAT(grant, ReasonIs("TICKET_UNKNOWN"));
  EXPECT_EQ(RetryAfterOf(grant.status()), absl::Seconds(3));
}

TEST_F(GrpcBrokerClientTest, AnAnswerThatMakesNoSenseIsAnError) {
  struct Case {
    const char* name;
    std::function<void(v1::ClaimTokenResponse&)> spoil;
  };
  for (const Case& c : {
           Case{"no token",
                [](auto& response) { response.clear_bootstrap_token(); }},
           Case{"a malformed token",
                [](auto& response) {
                  response.set_bootstrap_token("abcdef.x");
                }},
           Case{"no cluster", [](auto& response) { response.clear_cluster(); }},
           Case{"a negative lifetime",
                [](auto& response) {
                  response.set_certificate_expiration_seconds(-1);
                }},
       }) {
    SCOPED_TRACE(c.name);
    broker_.answer = [&c](const auto&, auto& response) {
      response.set_bootstrap_token(kToken);
      response.mutable_cluster()->add_api_servers("https://a");
      c.spoil(response);
      return grpc::Status::OK;
    };
    EXPECT_THAT(Claim(), StatusIs(absl::StatusCode::kInternal,
                                  AllOf(HasSubstr("makes no sense"),
                                        Not(HasSubstr("abcdef")))));
  }
}

TEST_F(GrpcBrokerClientTest, ABrokerOfAnotherAuthorityIsNotTrusted) {
  ca_pem_ = TestPki().ca_pem();
  bool called = false;
  broker_.answer = [&](const auto&, auto&) {
    called = true;
    return grpc::Status::OK;
  };
  EXPECT_THAT(Claim(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_FALSE(called);
}

TEST_F(GrpcBrokerClientTest, TheBrokersNameIsChecked) {
  server_name_ = "localhost";
  EXPECT_THAT(Claim(), IsOk());
  server_name_ = "somebody.else";
  EXPECT_THAT(Claim(), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(GrpcBrokerClientTest, NobodyThereIsUnavailable) {
  server_->Shutdown();
  EXPECT_THAT(Claim(), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(GrpcBrokerClientTest, EndsWithinItsTime) {
  std::atomic<bool> done = false;
  broker_.answer = [&](const auto&, auto&) {
    while (!done) std::this_thread::yield();
    return grpc::Status::OK;
  };
  EXPECT_THAT(Claim(absl::Milliseconds(100)),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  done = true;
  server_->Shutdown();  // waits for the handler, which reads `done`
}

// Behind one address there may be several replicas, one of them frozen.
TEST_F(GrpcBrokerClientTest, AConnectionThatDoesNotAnswerIsNotUsedAgain) {
  std::atomic<bool> frozen = true;
  const auto served = broker_.answer;
  broker_.answer = [&](const auto& request, auto& response) {
    while (frozen && broker_.connections() < 2) std::this_thread::yield();
    return served(request, response);
  };
  GrpcBrokerClient client = Client();
  EXPECT_THAT(client.Claim(kClaim, absl::Milliseconds(300)),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(client.Claim(kClaim, absl::Seconds(5)), IsOk());
  EXPECT_THAT(client.Claim(kClaim, absl::Seconds(5)), IsOk());
  EXPECT_EQ(broker_.connections(), 2U) << "and one that does is kept";
  frozen = false;
  server_->Shutdown();
}

}  // namespace
}  // namespace latchkey
