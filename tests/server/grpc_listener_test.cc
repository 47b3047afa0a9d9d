// Who gets through the door, as whom, and how much of it, over real TLS
// connections.

#include "server/grpc_listener.h"

#include <sys/socket.h>

#include <algorithm>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <netinet/in.h>

#include "clients/broker/broker_channel.h"
#include "clients/broker/grpc_error.h"
#include "core/mutex.h"
#include "core/reasons.h"
#include "latchkey/v1/token_broker.grpc.pb.h"
#include "services/call_credentials.h"
#include "services/grpc_status.h"
#include "tests/e2e/test_pki.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/jwt_issuer.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/wait_until.h"

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
using latchkey_testing::WaitUntil;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

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
    if (caller.ok()) response->set_ticket(caller->identity.name);
    reactor->Finish(ToGrpcStatus(caller.status()));
    return reactor;
  }

 private:
  Authenticator& authenticator_;
};

// Answers nobody until it is told to, the first who came first.
class Waiting final : public v1::TokenBroker::CallbackService {
 public:
  grpc::ServerUnaryReactor* IssueToken(
      grpc::CallbackServerContext* /*context*/,
      const v1::IssueTokenRequest* /*request*/,
      v1::IssueTokenResponse* /*response*/) override {
    auto* reactor = new Reactor;
    const MutexLock lock(mutex_);
    ++came_;
    waiting_.push_back(reactor);
    most_waiting_ = std::max(most_waiting_, waiting_.size());
    return reactor;
  }
  void AnswerOne() {
    const MutexLock lock(mutex_);
    waiting_.front()->Finish(grpc::Status::OK);
    waiting_.erase(waiting_.begin());
  }
  size_t came() {
    const MutexLock lock(mutex_);
    return came_;
  }
  size_t most_waiting() {
    const MutexLock lock(mutex_);
    return most_waiting_;
  }

 private:
  class Reactor final : public grpc::ServerUnaryReactor {
    void OnDone() override { delete this; }
  };
  Mutex mutex_;
  std::vector<Reactor*> waiting_ ABSL_GUARDED_BY(mutex_);
  size_t came_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t most_waiting_ ABSL_GUARDED_BY(mutex_) = 0;
};

// A TCP connection that says nothing by itself.
class Silent {
 public:
  explicit Silent(int port) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in there = {};
    there.sin_family = AF_INET;
    there.sin_port = htons(static_cast<in_port_t>(port));
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(socket_.get(), reinterpret_cast<sockaddr*>(&there),
                         sizeof(there)) == 0;
    const timeval patience = {.tv_sec = 20, .tv_usec = 0};
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience,
               sizeof(patience));
  }
  bool connected() const { return connected_; }
  void Say(std::string_view bytes) const {
    EXPECT_EQ(send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // False if that took too long.
  bool AwaitEnd() const {
    char byte = 0;
    ssize_t got = 0;
    do {
      got = recv(socket_.get(), &byte, 1, 0);
    } while (got > 0);
    return got == 0 || errno == ECONNRESET;
  }

 private:
  const OwnedFd socket_;
  bool connected_ = false;
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

  absl::StatusOr<std::unique_ptr<GrpcListener>> Start(
      const std::string& listen, ClientCertificates clients,
      grpc::Service& service, GrpcListenerOptions options) {
    const IdentityFiles files = pki_.Save("server", pki_.Server());
    return GrpcListener::Start({.listen = listen,
                                .certificate_file = files.certificate,
                                .private_key_file = files.private_key,
                                .client_ca_file = pki_.ca_file()},
                               clients, service, std::move(options));
  }
  void Listen(ClientCertificates clients, GrpcListenerOptions options = {}) {
    listener_ =
        Start("127.0.0.1:0", clients, *service_, std::move(options)).value();
  }
  // For calls that are not answered at once.
  void ListenAndWait(GrpcListenerOptions options = {}) {
    listener_ = Start("127.0.0.1:0", ClientCertificates::kNotAsked, waiting_,
                      std::move(options))
                    .value();
  }
  std::shared_ptr<grpc::Channel> Channel() {
    return OpenBrokerChannel(
        {.endpoint = fmt::format("localhost:{}", listener_->port()),
         .certificate_authorities = pki_.ca_pem()});
  }
  // A call that goes on; its end.
  std::future<grpc::StatusCode> StartCall(
      const std::shared_ptr<grpc::Channel>& channel) {
    struct Call {
      grpc::ClientContext context;
      v1::IssueTokenRequest request;
      v1::IssueTokenResponse response;
      std::promise<grpc::StatusCode> end;
      std::unique_ptr<v1::TokenBroker::Stub> stub;
    };
    const auto call = std::make_shared<Call>();
    call->context.set_deadline(
        absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
    call->stub = v1::TokenBroker::NewStub(channel);
    call->stub->async()->IssueToken(&call->context, &call->request,
                                    &call->response,
                                    [call](const grpc::Status& status) {
                                      call->end.set_value(status.error_code());
                                    });
    return call->end.get_future();
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
  // Certificates are made, and judged, as of now.
  FakeClock clock_{absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now()))};
  std::unique_ptr<Authenticator> authenticator_;
  std::unique_ptr<WhoAmI> service_;
  Waiting waiting_;
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

TEST_F(GrpcListenerTest, TheLimitsAreThoseOfThePage) {
  const GrpcListenerOptions options;
  EXPECT_EQ(options.handshake_time, absl::Seconds(10));
  EXPECT_EQ(options.idle_time, absl::Minutes(10));
  EXPECT_EQ(options.grace, absl::Minutes(5));
  EXPECT_EQ(options.connections.all, 2048U);
  EXPECT_EQ(options.connections.of_one, 512U);
}

TEST_F(GrpcListenerTest, OnePeersConnectionsAreLimited) {
  Mutex mutex;
  std::vector<std::string> refusals;
  Listen(ClientCertificates::kNotAsked,
         {.connections = {.all = 10, .of_one = 2},
          .on_refused = [&](ConnectionRefusal why) {
            const MutexLock lock(mutex);
            refusals.emplace_back(ConnectionRefusalName(why));
          }});
  auto first = std::make_unique<Silent>(listener_->port());
  const Silent second(listener_->port());
  ASSERT_TRUE(WaitUntil([&] { return listener_->CountConnections() == 2; }));
  const Silent third(listener_->port());
  EXPECT_TRUE(third.AwaitEnd());
  {
    const MutexLock lock(mutex);
    EXPECT_THAT(refusals, ElementsAre("peer"));
  }
  first.reset();
  ASSERT_TRUE(WaitUntil([&] { return listener_->CountConnections() == 1; }));
  EXPECT_THAT(Call({}, {Token()}), IsOkAndHolds("jwt:ci:job-1"));
  listener_.reset();  // before what it tells
}

TEST_F(GrpcListenerTest, WhoNeverEndsItsHandshakeIsClosed) {
  Listen(ClientCertificates::kNotAsked,
         {.handshake_time = absl::Milliseconds(200)});
  const Silent silent(listener_->port());
  const Silent stuck(listener_->port());
  stuck.Say("\x16\x03\x01\x02");  // the first bytes of a ClientHello
  EXPECT_TRUE(silent.AwaitEnd());
  EXPECT_TRUE(stuck.AwaitEnd());
  EXPECT_TRUE(WaitUntil([&] { return listener_->CountConnections() == 0; }));
}

TEST_F(GrpcListenerTest, AConnectionWithoutCallsIsClosed) {
  Listen(ClientCertificates::kNotAsked, {.idle_time = absl::Milliseconds(200)});
  const auto channel = Channel();
  EXPECT_EQ(StartCall(channel).get(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_TRUE(WaitUntil([&] { return listener_->CountConnections() == 0; }));
}

TEST_F(GrpcListenerTest, AnOldConnectionEndsWithWhatIsInHand) {
  ListenAndWait({.greatest_age = absl::Milliseconds(200),
                 .grace = absl::Milliseconds(200)});
  EXPECT_EQ(StartCall(Channel()).get(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(waiting_.came(), 1U);
  waiting_.AnswerOne();
}

TEST_F(GrpcListenerTest, AConnectionHasSoManyCallsAtOnce) {
  constexpr size_t kLimit = 128;
  constexpr size_t kCalls = kLimit + 30;
  ListenAndWait();
  const auto channel = Channel();
  std::vector<std::future<grpc::StatusCode>> calls;
  for (size_t i = 0; i < kCalls; ++i) calls.push_back(StartCall(channel));
  EXPECT_TRUE(WaitUntil([&] { return waiting_.came() >= kLimit; }));
  for (size_t i = 0; i < kCalls; ++i) {
    EXPECT_TRUE(WaitUntil([&] { return waiting_.came() > i; }));
    waiting_.AnswerOne();
  }
  for (auto& call : calls) EXPECT_EQ(call.get(), grpc::StatusCode::OK);
  EXPECT_EQ(waiting_.came(), kCalls);
  EXPECT_EQ(waiting_.most_waiting(), kLimit);
}

TEST_F(GrpcListenerTest, MetadataHasALimit) {
  Listen(ClientCertificates::kNotAsked);
  // No credential, but it is read.
  EXPECT_THAT(Call({}, {std::string(14 << 10, 'x')}),
              ReasonIs(reason::kUnauthenticated));
  EXPECT_THAT(Call({}, {std::string(17 << 10, 'x')}),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(GrpcListenerTest, OnceCallsAreRefusedNobodyConnects) {
  ListenAndWait();
  const auto channel = Channel();
  auto call = StartCall(channel);
  ASSERT_TRUE(WaitUntil([&] { return waiting_.came() == 1; }));
  listener_->RefuseNewCalls();
  EXPECT_TRUE(
      WaitUntil([&] { return !Silent(listener_->port()).connected(); }));
  // The call in hand is none the worse for it.
  waiting_.AnswerOne();
  EXPECT_EQ(call.get(), grpc::StatusCode::OK);
}

TEST_F(GrpcListenerTest, APortHasOneListener) {
  Listen(ClientCertificates::kNotAsked);
  const std::string taken = fmt::format("127.0.0.1:{}", listener_->port());
  EXPECT_THAT(Start(taken, ClientCertificates::kNotAsked, waiting_, {}),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr(taken)));
}

}  // namespace
}  // namespace latchkey
