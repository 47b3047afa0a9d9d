// Who gets through the door, and as whom, over real TLS connections.

#include "server/grpc_listener.h"

#include <string>
#include <utility>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "clients/broker/broker_channel.h"
#include "clients/broker/grpc_error.h"
#include "core/reasons.h"
#include "latchkey/v1/token_broker.grpc.pb.h"
#include "services/call_credentials.h"
#include "services/grpc_status.h"
#include "tests/e2e/test_pki.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/jwt_issuer.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::FakeClock;
using latchkey_testing::IdentityFiles;
using latchkey_testing::IsOkAndHolds;
using latchkey_testing::JwkSetOf;
using latchkey_testing::JwtKey;
using latchkey_testing::kAutoscaler;
using latchkey_testing::ReasonIs;
using latchkey_testing::SignJwt;
using latchkey_testing::StatusIs;
using latchkey_testing::TempDir;
using latchkey_testing::TestPki;

// Answers the caller's name in place of a ticket.
class WhoAmI final : public v1::TokenBroker::CallbackService {
 public:
  explicit WhoAmI(Authenticator& authenticator)
      : authenticator_(authenticator) {}

  grpc::ServerUnaryReactor* IssueToken(
      grpc::CallbackServerContext* context,
      const v1::IssueTokenRequest* /*request*/,
      v1::IssueTokenResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const auto credentials = CredentialsOf(*context);
    const auto caller = credentials.ok()
                            ? authenticator_.Authenticate(*credentials)
                            : credentials.status();
    if (caller.ok()) response->set_ticket(caller->name);
    reactor->Finish(ToGrpcStatus(caller.status()));
    return reactor;
  }

 private:
  Authenticator& authenticator_;
};

class GrpcListenerTest : public ::testing::Test {
 protected:
  GrpcListenerTest() {
    std::vector<std::unique_ptr<JwtVerifier>> issuers;
    issuers.push_back(std::make_unique<JwtVerifier>(
        JwtRules{.name = "ci", .issuer = "ci", .audience = "latchkey"},
        JwksSource::OfFile(dir_.Write("keys", JwkSetOf({key_.Jwk()})), clock_)
            .value(),
        clock_));
    authenticator_ =
        std::make_unique<Authenticator>(nullptr, std::move(issuers), clock_);
    service_ = std::make_unique<WhoAmI>(*authenticator_);
  }

  void Listen(ClientCertificates clients) {
    const IdentityFiles files = pki_.Save("server", pki_.Server());
    listener_ = GrpcListener::Start({.listen = "127.0.0.1:0",
                                     .certificate_file = files.certificate,
                                     .private_key_file = files.private_key,
                                     .client_ca_file = pki_.ca_file()},
                                    clients, *service_, 64 << 10)
                    .value();
  }
  // The name that the listener knows a caller by.
  absl::StatusOr<std::string> Call(
      const IssuedIdentity& certificate,
      const std::vector<std::string>& authorization = {}) {
    const auto channel = OpenBrokerChannel(
        {.endpoint = fmt::format("localhost:{}", listener_->port()),
         .certificate_authorities = pki_.ca_pem(),
         .certificate_pem = certificate.certificate_pem,
         .private_key_pem = certificate.private_key_pem});
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
    for (const std::string& value : authorization) {
      context.AddMetadata("authorization", value);
    }
    v1::IssueTokenResponse response;
    const absl::Status status = FromGrpcStatus(
        v1::TokenBroker::NewStub(channel)->IssueToken(&context, {}, &response));
    if (!status.ok()) return status;
    return response.ticket();
  }
  std::string Token() const {
    return "Bearer " +
           SignJwt(key_, fmt::format(R"({{"iss":"ci","aud":"latchkey",)"
                                     R"("sub":"job-1","exp":{}}})",
                                     absl::ToUnixSeconds(clock_.Now()) + 600));
  }

  const TestPki pki_;
  const TestPki foreign_;
  const TempDir dir_;
  const JwtKey key_{"EdDSA", "k"};
  FakeClock clock_;
  std::unique_ptr<Authenticator> authenticator_;
  std::unique_ptr<WhoAmI> service_;
  std::unique_ptr<GrpcListener> listener_;
};

TEST_F(GrpcListenerTest, AnOptionalCertificateIsStillVerified) {
  Listen(ClientCertificates::kOptional);
  EXPECT_THAT(Call(pki_.Client(kAutoscaler)), IsOkAndHolds(kAutoscaler));
  EXPECT_THAT(Call({}), ReasonIs(reason::kUnauthenticated));
  // The handshake fails: no call is ever made.
  EXPECT_THAT(Call(foreign_.Client(kAutoscaler)),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(Call(foreign_.Client(kAutoscaler), {Token()}),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(Call(pki_.Client(kAutoscaler, -absl::Hours(1))),
              StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(GrpcListenerTest, ABearerTokenDecides) {
  Listen(ClientCertificates::kOptional);
  EXPECT_THAT(Call({}, {Token()}), IsOkAndHolds("jwt:ci:job-1"));
  EXPECT_THAT(Call(pki_.Client(kAutoscaler), {Token()}),
              IsOkAndHolds("jwt:ci:job-1"));
  EXPECT_THAT(Call(pki_.Client(kAutoscaler), {"Bearer nonsense"}),
              ReasonIs(reason::kUnauthenticated));
  EXPECT_THAT(Call(pki_.Client(kAutoscaler), {""}),
              ReasonIs(reason::kUnauthenticated));
  EXPECT_THAT(Call(pki_.Client(kAutoscaler), {Token(), Token()}),
              ReasonIs(reason::kUnauthenticated));
}

TEST_F(GrpcListenerTest, ARequiredCertificateIsRequired) {
  Listen(ClientCertificates::kRequired);
  EXPECT_THAT(Call({}, {Token()}), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(Call(foreign_.Client(kAutoscaler)),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(Call(pki_.Client(kAutoscaler)), IsOkAndHolds(kAutoscaler));
}

TEST_F(GrpcListenerTest, ACertificateThatWasNotAskedForIsNobody) {
  Listen(ClientCertificates::kNotAsked);
  EXPECT_THAT(Call(pki_.Client(kAutoscaler)),
              ReasonIs(reason::kUnauthenticated));
  EXPECT_THAT(Call({}, {Token()}), IsOkAndHolds("jwt:ci:job-1"));
}

}  // namespace
}  // namespace latchkey
