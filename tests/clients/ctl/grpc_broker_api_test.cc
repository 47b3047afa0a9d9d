// Calls over real gRPC, and the whole program over a server that speaks the
// contract.

#include "clients/ctl/grpc_broker_api.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>

#include <absl/synchronization/notification.h>
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "clients/ctl/cures.h"
#include "clients/pace/pace.h"
#include "core/refusal.h"
#include "tests/clients/ctl/fake_token_broker.h"
#include "tests/e2e/broker_process.h"
#include "tests/testing/child_process.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

absl::Status Busy(absl::Duration delay) {
  return latchkey::WithRetryAfter(
      latchkey::Refuse(absl::StatusCode::kResourceExhausted, "OVERLOADED",
                       "busy"),
      delay);
}

v1::WatchTokensResponse Event(const std::string& cursor,
                              const std::string& id) {
  v1::WatchTokensResponse news;
  news.set_cursor(cursor);
  news.mutable_event()->mutable_token()->set_id(id);
  return news;
}

class GrpcBrokerApiTest : public ::testing::Test {
 protected:
  GrpcBrokerApiTest() {
    const IdentityFiles me = pki_.Save("me", pki_.Client(kAutoscaler));
    config_ = {.endpoint = fmt::format("127.0.0.1:{}", server_.port()),
               .ca_file = pki_.ca_file(),
               .certificate_file = me.certificate,
               .private_key_file = me.private_key};
    dir_.Write("ctl.yaml",
               fmt::format("broker: {{endpoint: \"{}\", ca_file: {}}}\n"
                           "identity: {{certificate_file: {}, "
                           "private_key_file: {}}}\n",
                           config_.endpoint, config_.ca_file, me.certificate,
                           me.private_key));
  }

  std::unique_ptr<latchkey::BrokerApi> Connect(
      absl::Duration timeout = absl::Seconds(20)) {
    auto api = TryToConnect(absl::Now(), timeout);
    EXPECT_THAT(api, IsOk());
    return *std::move(api);
  }
  absl::StatusOr<std::unique_ptr<latchkey::BrokerApi>> TryToConnect(
      absl::Time now = absl::Now(),
      absl::Duration timeout = absl::Seconds(20)) {
    return latchkey::ConnectToBroker(config_,
                                     {.timeout = timeout,
                                      .pace = pace_,
                                      .on_delay =
                                          [this](const auto& text) {
                                            delays_.push_back(text);
                                            if (on_delay_) on_delay_();
                                          }},
                                     now);
  }
  // What is said of a call that gets no answer in time.
  std::string AdviceWithin(absl::Duration timeout) {
    v1::GetTokenRequest request;
    request.set_id("abc123");
    const auto token = Connect(timeout)->GetToken(request);
    EXPECT_THAT(token, StatusIs(absl::StatusCode::kUnavailable));
    return latchkey::ErrorText(token.status());
  }
  absl::StatusOr<v1::IssueTokenResponse> Issue(absl::Duration timeout) {
    v1::IssueTokenRequest request;
    request.set_request_id("request-1");
    request.mutable_scope()->set_node_name("w");
    return Connect(timeout)->IssueToken(request);
  }
  absl::StatusOr<v1::Token> Get() {
    v1::GetTokenRequest request;
    request.set_id("abc123");
    return Connect()->GetToken(request);
  }
  std::vector<std::string> Command(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {BuiltProgram("latchkeyctl"),
                                         "--config", dir_.File("ctl.yaml")});
    return arguments;
  }

  TestPki pki_;
  TempDir dir_;
  // What a handler may wait for to the end.
  absl::Notification over_;
  FakeTokenBroker server_{pki_};
  latchkey::SystemPace pace_;
  std::vector<std::string> delays_;
  std::function<void()> on_delay_;
  latchkey::CtlConfig config_;
};

TEST_F(GrpcBrokerApiTest, RepeatsWhatPasses) {
  server_.api.AddToken("abc123", "worker-1");
  server_.api.next_errors = {Busy(absl::Milliseconds(300)),
                             absl::UnavailableError("restarting")};
  const absl::Duration begin = pace_.Elapsed();
  const auto token = Get();
  ASSERT_THAT(token, IsOk());
  EXPECT_EQ(token->scope().node_name(), "worker-1");
  EXPECT_GE(pace_.Elapsed() - begin, absl::Milliseconds(300));
}

TEST_F(GrpcBrokerApiTest, CarriesARefusalWithItsReason) {
  server_.api.next_errors = {
      latchkey::Refuse(absl::StatusCode::kPermissionDenied, "POLICY_DENIED",
                       "no", {{"a", "b"}})};
  const auto token = Get();
  EXPECT_THAT(token, StatusIs(absl::StatusCode::kPermissionDenied, "no"));
  EXPECT_THAT(token, ReasonIs("POLICY_DENIED"));
  EXPECT_EQ(latchkey::MetadataOf(token.status()).at("a"), "b");
}

TEST_F(GrpcBrokerApiTest, ShowsItsCertificate) {
  server_.api.AddToken("abc123", "worker-1");
  ASSERT_THAT(Get(), IsOk());
  EXPECT_THAT(server_.identities(), Contains(HasSubstr(kAutoscaler)));
  EXPECT_THAT(server_.authorizations(), ElementsAre(""));
}

TEST_F(GrpcBrokerApiTest, ReadsItsBearerTokenForEachCall) {
  server_.api.AddToken("abc123", "worker-1");
  config_.certificate_file.clear();
  config_.token_file = dir_.Write("token", "first.token.x\n");
  const auto api = Connect();
  v1::GetTokenRequest request;
  request.set_id("abc123");
  EXPECT_THAT(api->GetToken(request), IsOk());
  dir_.Write("token", "second.token.y");
  EXPECT_THAT(api->GetToken(request), IsOk());
  EXPECT_THAT(api->WatchTokens({}, [](const auto&) { return true; }),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(server_.authorizations(),
              ElementsAre("Bearer first.token.x", "Bearer second.token.y",
                          "Bearer second.token.y"));
  for (const char* bad : {"", "two words", "a\nb", "\x01"}) {
    dir_.Write("token", bad);
    EXPECT_THAT(api->GetToken(request),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr(config_.token_file)));
  }
  EXPECT_THAT(server_.authorizations(), SizeIs(3)) << "nothing was sent";
}

TEST_F(GrpcBrokerApiTest, FilesThatDoNotFitAreNamed) {
  const auto expect_named = [&](const std::string& path,
                                const std::string& says) {
    EXPECT_THAT(TryToConnect(),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(StartsWith(path + ": "), HasSubstr(says))));
  };
  const latchkey::CtlConfig good = config_;
  config_.ca_file = "/no/such";
  expect_named("/no/such", "No such file");
  config_.ca_file = good.private_key_file;
  expect_named(good.private_key_file, "CERTIFICATE");
  config_ = good;
  config_.certificate_file = good.private_key_file;
  expect_named(good.private_key_file, "CERTIFICATE");
  config_ = good;
  config_.private_key_file = good.certificate_file;
  expect_named(good.certificate_file, "");
  const IdentityFiles other = pki_.Save("other", pki_.Client(kAutoscaler));
  config_.private_key_file = other.private_key;
  expect_named(other.private_key, "not the private key of the certificate in " +
                                      good.certificate_file);
}

TEST_F(GrpcBrokerApiTest, ACertificateThatIsNotValidNowIsToldOfAtOnce) {
  const IdentityFiles old =
      pki_.Save("old", pki_.Client(kAutoscaler, -absl::Minutes(6)));
  config_.certificate_file = old.certificate;
  config_.private_key_file = old.private_key;
  EXPECT_THAT(TryToConnect(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       StartsWith(old.certificate +
                                  ": this certificate expired at 2")));
  EXPECT_THAT(TryToConnect(absl::Now() - absl::Minutes(2)), IsOk())
      << "the broker's clock decides";
  EXPECT_THAT(
      TryToConnect(absl::Now() - absl::Hours(24)),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is valid from")));
  EXPECT_THAT(TryToConnect(absl::Now() + absl::Hours(24 * 366 * 50)),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       StartsWith(config_.ca_file)));
}

TEST_F(GrpcBrokerApiTest, AnotherPortIsNotSilent) {
  // What gRPC answers of itself for a service that is not there.
  server_.api.next_errors = {absl::UnimplementedError("")};
  const auto token = Get();
  EXPECT_THAT(token, StatusIs(absl::StatusCode::kUnimplemented,
                              HasSubstr(config_.endpoint)));
  EXPECT_THAT(latchkey::ErrorText(token.status()),
              HasSubstr("the machines' port"));
  server_.api.next_errors = {absl::InternalError("")};
  EXPECT_THAT(Get(), StatusIs(absl::StatusCode::kInternal,
                              HasSubstr(config_.endpoint)));
}

TEST_F(GrpcBrokerApiTest, TheAdviceFitsWhatFailed) {
  const TestPki strangers;
  const latchkey::CtlConfig good = config_;
  config_.ca_file = strangers.ca_file();
  EXPECT_THAT(AdviceWithin(absl::Seconds(1)), HasSubstr("broker.ca_file"));
  config_ = good;
  const IdentityFiles me = strangers.Save("me", strangers.Client(kAutoscaler));
  config_.certificate_file = me.certificate;
  config_.private_key_file = me.private_key;
  EXPECT_THAT(AdviceWithin(absl::Seconds(1)), HasSubstr("client_ca_file"));
  config_ = good;
  config_.server_name = "other";
  EXPECT_THAT(AdviceWithin(absl::Seconds(1)), HasSubstr("broker.server_name"));
  config_ = good;
  int port = 0;
  v1::TokenBroker::Service service;
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  const auto plain = builder.BuildAndStart();
  config_.endpoint = fmt::format("127.0.0.1:{}", port);
  EXPECT_THAT(AdviceWithin(absl::Seconds(1)), HasSubstr("no TLS"));
}

TEST_F(GrpcBrokerApiTest, ACallThatTakesLongSaysWhyOnce) {
  server_.Stop();
  EXPECT_THAT(AdviceWithin(absl::Seconds(1)), HasSubstr("nobody listens"));
  EXPECT_THAT(delays_, IsEmpty()) << "nobody wonders yet";
  AdviceWithin(absl::Seconds(5));
  EXPECT_THAT(delays_, ElementsAre(AllOf(HasSubstr(config_.endpoint),
                                         HasSubstr("Connection refused"))));
}

TEST_F(GrpcBrokerApiTest, ACallThatHangsSaysSoBeforeItEnds) {
  absl::Notification said;
  on_delay_ = [&] { said.Notify(); };
  server_.api.before_answer = [&] {
    EXPECT_TRUE(said.WaitForNotificationWithTimeout(absl::Seconds(15)));
  };
  EXPECT_THAT(Issue(absl::Seconds(20)), IsOk());
  EXPECT_THAT(delays_, ElementsAre(AllOf(HasSubstr(config_.endpoint),
                                         HasSubstr("has not answered"))));
}

TEST_F(GrpcBrokerApiTest, ASlowBrokerIsNotCalledAbsent) {
  server_.api.before_answer = [&] { over_.WaitForNotification(); };
  const absl::Status status = Issue(absl::Seconds(1)).status();
  over_.Notify();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kDeadlineExceeded,
                               AllOf(HasSubstr(config_.endpoint),
                                     HasSubstr("did not answer within 1s"))));
  EXPECT_THAT(latchkey::ErrorText(status),
              AllOf(HasSubstr("the connection is good"),
                    Not(HasSubstr("is the broker running"))));
  EXPECT_TRUE(latchkey::MayBeDone(status));
}

TEST_F(GrpcBrokerApiTest, AReasonOutlivesAnAttemptWithoutAnAnswer) {
  int attempts = 0;
  server_.api.before_answer = [&] {
    if (++attempts > 1) over_.WaitForNotification();
  };
  server_.api.next_errors = {latchkey::Refuse(absl::StatusCode::kUnavailable,
                                              "CLUSTER_UNAVAILABLE", "down")};
  const absl::Status status = Issue(absl::Seconds(2)).status();
  over_.Notify();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable, "down"));
  EXPECT_THAT(status, ReasonIs("CLUSTER_UNAVAILABLE"));
  EXPECT_TRUE(latchkey::MayBeDone(status));
}

TEST_F(GrpcBrokerApiTest, WhatWasNeverSentIsNotDone) {
  // Takes connections, and says nothing.
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(listen(listener, 8), 0);
  sockaddr_in address = {};
  socklen_t size = sizeof address;
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  config_.endpoint = fmt::format("127.0.0.1:{}", ntohs(address.sin_port));
  const absl::Status silent = Issue(absl::Seconds(1)).status();
  close(listener);
  EXPECT_THAT(silent, StatusIs(absl::StatusCode::kDeadlineExceeded,
                               HasSubstr("cannot connect to")));
  EXPECT_THAT(latchkey::ErrorText(silent), HasSubstr("is the broker running"));
  EXPECT_FALSE(latchkey::MayBeDone(silent));
  const absl::Status refused = Issue(absl::Seconds(1)).status();
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_FALSE(latchkey::MayBeDone(refused));
}

TEST_F(GrpcBrokerApiTest, ABrokerThatIsBackIsNoticedByTheNextCall) {
  server_.api.streams = {{{Event("c1", "aaaaaa")}, absl::OkStatus()}};
  const auto api = Connect();
  const auto watch = [&] {
    return api->WatchTokens({}, [](const auto& /*news*/) { return false; });
  };
  server_.Stop();
  EXPECT_THAT(watch(), StatusIs(absl::StatusCode::kUnavailable));
  server_.Start();
  EXPECT_THAT(watch(), IsOk());
}

TEST_F(GrpcBrokerApiTest, AWatchEndsWhenItsReaderHasEnough) {
  server_.api.streams = {{{Event("1", "a"), Event("2", "b")}, {}}};
  int seen = 0;
  EXPECT_THAT(
      Connect()->WatchTokens({}, [&](const auto&) { return ++seen < 1; }),
      IsOk());
  EXPECT_EQ(seen, 1);
  server_.api.streams = {{{Event("1", "a")}, absl::OkStatus()}};
  EXPECT_THAT(Connect()->WatchTokens({}, [](const auto&) { return true; }),
              StatusIs(absl::StatusCode::kUnavailable))
      << "a stream that the broker ends is not over";
}

TEST_F(GrpcBrokerApiTest, AnAnswerForAThousandMachinesFits) {
  server_.api.authorities = std::string(16'000, 'A');
  v1::BatchIssueTokensRequest request;
  for (int i = 0; i < 1000; ++i) {
    v1::IssueTokenRequest& item = *request.add_requests();
    item.set_request_id(fmt::format("request-{}", i));
    item.mutable_scope()->set_node_name("w");
  }
  const auto response = Connect()->BatchIssueTokens(request);
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->results_size(), 1000);
}

// --- the program

TEST_F(GrpcBrokerApiTest, TheProgramListsEveryPage) {
  for (int i = 0; i < 1001; ++i) {
    server_.api.AddToken(fmt::format("{:06}", i), "worker");
  }
  const ProgramResult result = RunProgram(Command({"list", "-o", "name"}), {});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(std::ranges::count(result.out, '\n'), 1001);
}

TEST_F(GrpcBrokerApiTest, TheProgramEndsQuietlyWhenItsReaderHasEnough) {
  for (int i = 0; i < 5000; ++i) {
    server_.api.AddToken(fmt::format("{:06}", i), "worker");
  }
  const ProgramResult result = RunProgram(
      {"/bin/sh", "-c",
       fmt::format("{{ '{}' --config '{}' list -o json; echo $? >&2; }} | "
                   "head -1",
                   BuiltProgram("latchkeyctl"), dir_.File("ctl.yaml"))},
      {});
  EXPECT_EQ(result.err, "141\n");
  EXPECT_THAT(result.out, HasSubstr("000000"));
}

TEST_F(GrpcBrokerApiTest, TheProgramSaysWhatToDo) {
  const ProgramResult refused = RunProgram(Command({"get", "zzzzzz"}), {});
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("reason: TOKEN_UNKNOWN"),
                                 HasSubstr("what to do: check the id")));
  server_.Stop();
  const ProgramResult nobody =
      RunProgram(Command({"get", "zzzzzz", "--timeout", "1s"}), {});
  EXPECT_EQ(nobody.exit_code, 1);
  EXPECT_THAT(nobody.err,
              AllOf(HasSubstr("is the broker running"), Not(HasSubstr("E1"))));
}

// A watch goes on through a restart of the broker, and after a kill of its own,
// with its cursor.
TEST_F(GrpcBrokerApiTest, TheProgramsWatchMissesNothing) {
  server_.api.streams = {
      {{Event("c1", "aaaaaa")}, absl::UnavailableError("draining")},
      {{Event("c2", "bbbbbb")}, absl::UnavailableError("draining")}};
  // Then the fake says PERMISSION_DENIED, which ends the program.
  const std::string out = dir_.File("out");
  auto watch = ChildProcess::Start(
      Command({"watch", "-o", "name", "--cursor-file", dir_.File("cursor")}),
      {.stdout_path = out, .stderr_path = dir_.File("err")});
  ASSERT_THAT(watch, IsOk());
  EXPECT_EQ((*watch)->AwaitExit(absl::Seconds(30)), 3);
  EXPECT_EQ(ReadFile(out), "aaaaaa\nbbbbbb\n");
  EXPECT_EQ(ReadFile(dir_.File("cursor")), "c2\n");
  ASSERT_THAT(server_.api.watches, SizeIs(3));
  EXPECT_EQ(server_.api.watches[1].cursor(), "c1");
  EXPECT_EQ(server_.api.watches[2].cursor(), "c2");
  server_.Stop();
  server_.Start();
  RunProgram(Command({"watch", "--cursor-file", dir_.File("cursor")}), {});
  EXPECT_EQ(server_.api.watches.back().cursor(), "c2");
}

TEST_F(GrpcBrokerApiTest, TheProgramsBatchSurvivesAKill) {
  std::string machines = "node\n";
  for (int i = 0; i < 3000; ++i) machines += fmt::format("worker-{}\n", i);
  const std::vector<std::string> command =
      Command({"batch", dir_.Write("m.csv", machines), "--out-dir",
               dir_.File("seeds")});
  auto batch = ChildProcess::Start(command, {.stdout_path = dir_.File("out"),
                                             .stderr_path = dir_.File("err")});
  ASSERT_THAT(batch, IsOk());
  ASSERT_TRUE(WaitUntil(
      [&] { return !ReadFile(dir_.File("seeds/worker-10")).empty(); }));
  (*batch)->Signal(SIGKILL);
  (*batch)->AwaitExit(absl::Seconds(20));
  const ProgramResult again = RunProgram(command, {});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(server_.api.minted, SizeIs(3000)) << "none was minted twice";
  EXPECT_THAT(ReadFile(dir_.File("seeds/worker-2999")), HasSubstr("lk1_"));
}

}  // namespace
}  // namespace latchkey_testing
