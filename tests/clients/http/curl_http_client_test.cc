#include "clients/http/curl_http_client.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <atomic>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <absl/time/clock.h>
#include <gmock/gmock.h>

#include "clients/http/http_status.h"
#include "crypto/certificate.h"
#include "tests/fakes/hostile_https_server.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using ::latchkey_testing::HostileHttpsServer;
using ::latchkey_testing::IsOk;
using ::latchkey_testing::IssueFor;
using ::latchkey_testing::StatusIs;
using ::latchkey_testing::WaitUntil;
using ::testing::HasSubstr;
using ::testing::Not;

class CurlHttpClientTest : public ::testing::Test {
 protected:
  static HostileHttpsServer& server() {
    static HostileHttpsServer server;
    return server;
  }

  CurlHttpClientOptions Options() {
    CurlHttpClientOptions options;
    options.base_url = server().url();
    options.ca_pem = server().ca_pem();
    return options;
  }

  void SetUp() override { client_ = Make(Options()); }

  HttpClient& client() { return *client_; }
  static std::unique_ptr<HttpClient> Make(CurlHttpClientOptions options) {
    auto client = CurlHttpClient::Create(std::move(options));
    EXPECT_THAT(client, IsOk());
    return client.ok() ? *std::move(client) : nullptr;
  }

  static HttpRequest Get(std::string target) {
    HttpRequest request;
    request.target = std::move(target);
    request.timeout = absl::Seconds(20);
    return request;
  }
  static HttpRequest Post(std::string target, std::string body) {
    HttpRequest request = Get(std::move(target));
    request.method = "POST";
    request.body = std::move(body);
    return request;
  }

  std::string BodyOf(const std::string& target) {
    const auto response = client().Send(Get(target));
    EXPECT_THAT(response, IsOk());
    return response.ok() ? response->body : "";
  }
  int Count(const std::string& path) {
    return std::stoi("0" + BodyOf("/count/" + path));
  }

  static std::string ReadToEnd(HttpStream& stream, absl::Status& end) {
    std::string all;
    while (true) {
      auto bytes = stream.Read(absl::Seconds(20));
      if (!bytes.ok()) {
        end = bytes.status();
        return all;
      }
      all += *bytes;
    }
  }

 private:
  std::unique_ptr<HttpClient> client_;
};

TEST_F(CurlHttpClientTest, AnswersStatusHeadersAndBody) {
  const auto response = client().Send(Get("/ok"));

  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "hello");
  EXPECT_EQ(response->headers.at("content-length"), "5");
}

TEST_F(CurlHttpClientTest, SendsMethodHeadersTokenAndBody) {
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH"}) {
    SCOPED_TRACE(method);
    HttpRequest request = Post("/echo", std::string("\0\xff body", 7));
    request.method = method;
    request.headers = {{"content-type", "x/y"}, {"accept", "a/b"}};
    request.bearer_token = SecretString("the-token");

    const auto response = client().Send(request);

    ASSERT_THAT(response, IsOk());
    EXPECT_THAT(response->body, ::testing::StartsWith(method));
    EXPECT_THAT(response->body, HasSubstr("content-type: x/y"));
    EXPECT_THAT(response->body, HasSubstr("accept: a/b"));
    EXPECT_THAT(response->body, HasSubstr("authorization: Bearer the-token"));
    EXPECT_THAT(response->body, HasSubstr("user-agent: latchkey"));
    EXPECT_THAT(response->body, ::testing::EndsWith(request.body));
  }
}

TEST_F(CurlHttpClientTest, ALaterRequestKnowsNothingOfAnEarlierOne) {
  HttpRequest first = Post("/echo", "first body");
  first.bearer_token = SecretString("the-token");
  ASSERT_THAT(client().Send(first), IsOk());

  const std::string second = BodyOf("/echo");

  EXPECT_THAT(second, ::testing::StartsWith("GET"));
  EXPECT_THAT(second, Not(HasSubstr("authorization")));
  EXPECT_THAT(second, Not(HasSubstr("first body")));
  EXPECT_THAT(second, Not(HasSubstr("content-type")));
}

TEST_F(CurlHttpClientTest, AnyStatusIsAResponse) {
  for (const int status : {201, 204, 304, 401, 404, 409, 429, 500, 503}) {
    const auto response =
        client().Send(Get("/status/" + std::to_string(status)));
    ASSERT_THAT(response, IsOk()) << status;
    EXPECT_EQ(response->status, status);
  }
}

TEST_F(CurlHttpClientTest, FollowsNoRedirectAndKeepsNoCookie) {
  const auto response = client().Send(Get("/redirect"));
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->status, 302);

  ASSERT_THAT(client().Send(Get("/cookie")), IsOk());
  EXPECT_THAT(BodyOf("/echo"), Not(HasSubstr("taste")));
}

TEST_F(CurlHttpClientTest, AnInterimResponseIsNotTheResponse) {
  const auto response = client().Send(Get("/interim"));

  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->body, "final");
  EXPECT_EQ(response->headers.count("x-early"), 0U);
  EXPECT_EQ(response->headers.count("x-final"), 1U);
}

TEST_F(CurlHttpClientTest, ABodyMayEndWithTheConnection) {
  EXPECT_EQ(BodyOf("/until-close"), "all");
}

TEST_F(CurlHttpClientTest, ConnectionsAreKept) {
  BodyOf("/ok");
  const int before = Count("connections");
  for (int i = 0; i < 5; ++i) BodyOf("/ok");
  EXPECT_EQ(Count("connections"), before);
}

TEST_F(CurlHttpClientTest, ReportsTheServersCertificatesOnceAsked) {
  EXPECT_EQ(client().Send(Get("/ok"))->server_certificates_pem, "");
  // The connection is there already: it takes another, with a handshake.
  HttpRequest request = Get("/ok");
  request.report_server_certificates = true;
  const auto asked = client().Send(request);
  ASSERT_THAT(asked, IsOk());
  const auto shown = Certificate::ParseAll(asked->server_certificates_pem);
  ASSERT_THAT(shown, IsOk());
  EXPECT_EQ(shown->front().common_names, std::vector<std::string>{"server"});

  const int before = Count("connections");
  EXPECT_EQ(client().Send(Get("/ok"))->server_certificates_pem, "");
  EXPECT_EQ(Count("connections"), before);
}

TEST_F(CurlHttpClientTest, BrokenResponsesAreUnavailable) {
  for (const char* path :
       {"/torn", "/torn-chunks", "/reset", "/garbage", "/die"}) {
    SCOPED_TRACE(path);
    const auto response = client().Send(Get(path));
    EXPECT_THAT(response, StatusIs(absl::StatusCode::kUnavailable));
    EXPECT_FALSE(WasNotSent(response.status()));
  }
}

TEST_F(CurlHttpClientTest, TooMuchIsResourceExhausted) {
  HttpRequest huge = Get("/huge");
  huge.max_response_bytes = 100'000;
  EXPECT_THAT(client().Send(huge),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(client().Send(Get("/endless-headers")),
              StatusIs(absl::StatusCode::kResourceExhausted));

  HttpRequest fits = Get("/ok");
  fits.max_response_bytes = 5;
  EXPECT_THAT(client().Send(fits), IsOk());
  fits.max_response_bytes = 4;
  EXPECT_THAT(client().Send(fits),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(CurlHttpClientTest, AServerThatDoesNotAnswerRunsOutOfTime) {
  for (const char* path : {"/stall", "/stall-body"}) {
    HttpRequest request = Get(path);
    request.timeout = absl::Milliseconds(200);
    EXPECT_THAT(client().Send(request),
                StatusIs(absl::StatusCode::kDeadlineExceeded));
  }
  // However the two clocks' readings fall.
  for (int i = 0; i < 200; ++i) {
    HttpRequest request = Get("/stall-body");
    request.timeout = absl::Microseconds(1001 + 10 * i);
    EXPECT_THAT(client().Send(request),
                StatusIs(absl::StatusCode::kDeadlineExceeded));
  }
}

TEST_F(CurlHttpClientTest, StoppingEndsTheWait) {
  std::stop_source stop;
  HttpRequest request = Get("/stall");
  request.stop = stop.get_token();
  const std::jthread stopper([&] {
    absl::SleepFor(absl::Milliseconds(50));
    stop.request_stop();
  });

  EXPECT_THAT(client().Send(request), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(client().OpenStream(request).status(),
              StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(CurlHttpClientTest, AStopMayMeetTheOpeningOfAStream) {
  int opened = 0;
  int stopped = 0;
  absl::Duration after = absl::Microseconds(200);
  // Under a sanitizer so many would take a minute.
  const absl::Time end = absl::Now() + absl::Seconds(10);
  for (int i = 0; i < 2000 && absl::Now() < end; ++i) {
    std::stop_source stop;
    HttpRequest request = Get("/ok");
    request.stop = stop.get_token();
    std::atomic<bool> begun = false;
    const std::jthread stopper([&] {
      begun.wait(false);
      const absl::Time then = absl::Now() + after;
      while (absl::Now() < then) {
      }
      stop.request_stop();
    });
    begun = true;
    begun.notify_one();
    const auto stream = client().OpenStream(request);
    // The next stop aims at the moment when this opening ended.
    if (stream.ok()) {
      ++opened;
      after *= 0.98;
      (void)(*stream)->Read(absl::Seconds(20));
    } else {
      EXPECT_THAT(stream, StatusIs(absl::StatusCode::kCancelled));
      ++stopped;
      after *= 1.02;
    }
  }
  EXPECT_GT(opened, 0);
  EXPECT_GT(stopped, 0);
}

TEST_F(CurlHttpClientTest, NobodyThereMeansThatNothingWasSent) {
  CurlHttpClientOptions options = Options();
  options.base_url = "https://127.0.0.1:1";

  const auto response = Make(options)->Send(Post("/", "body"));

  EXPECT_THAT(response, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_TRUE(WasNotSent(response.status()));
}

// On a connection that was used before, libcurl would send it again.
TEST_F(CurlHttpClientTest, AWriteIsNeverSentTwice) {
  BodyOf("/ok");

  const auto response = client().Send(Post("/die/write", "body"));

  EXPECT_THAT(response, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_FALSE(WasNotSent(response.status()));
  EXPECT_EQ(Count("die/write"), 1);
}

TEST_F(CurlHttpClientTest, AReadMayBe) {
  BodyOf("/ok");
  EXPECT_THAT(client().Send(Get("/die/read")),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_GE(Count("die/read"), 1);
}

TEST_F(CurlHttpClientTest, ManyThreadsShareAClient) {
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 32; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 20; ++i) {
          const std::string body = std::to_string(t * 1000 + i);
          const auto response = client().Send(Post("/echo", body));
          ASSERT_THAT(response, IsOk());
          ASSERT_THAT(response->body, ::testing::EndsWith("\n" + body));
          ++good;
        }
      });
    }
  }
  EXPECT_EQ(good, 32 * 20);
}

TEST_F(CurlHttpClientTest, ErrorsHoldNoSecrets) {
  HttpRequest request = Post("/die", "the-body");
  request.bearer_token = SecretString("the-token");

  const auto response = client().Send(request);

  EXPECT_THAT(response.status().ToString(), Not(HasSubstr("the-token")));
  EXPECT_THAT(response.status().ToString(), Not(HasSubstr("the-body")));
}

TEST_F(CurlHttpClientTest, AStreamIsReadAsItArrives) {
  auto stream = client().OpenStream(Get("/ticks/20"));
  ASSERT_THAT(stream, IsOk());
  EXPECT_EQ((*stream)->head().status, 200);

  absl::Status end;
  const std::string all = ReadToEnd(**stream, end);

  EXPECT_THAT(all, ::testing::StartsWith("tick 0\ntick 1\n"));
  EXPECT_THAT(all, ::testing::EndsWith("tick 19\n"));
  EXPECT_THAT(end, StatusIs(absl::StatusCode::kOutOfRange));
}

TEST_F(CurlHttpClientTest, AStreamThatBreaksIsUnavailable) {
  for (const char* path : {"/torn", "/torn-chunks", "/reset"}) {
    SCOPED_TRACE(path);
    auto stream = client().OpenStream(Get(path));
    ASSERT_THAT(stream, IsOk());
    absl::Status end;
    ReadToEnd(**stream, end);
    EXPECT_THAT(end, StatusIs(absl::StatusCode::kUnavailable));
  }
}

TEST_F(CurlHttpClientTest, AStreamWaitsAndCanBeReadAgain) {
  auto stream = client().OpenStream(Get("/stall-body"));
  ASSERT_THAT(stream, IsOk());
  const auto first = (*stream)->Read(absl::Seconds(20));
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(*first, "half");

  EXPECT_THAT((*stream)->Read(absl::Milliseconds(20)),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  const std::jthread canceller([&] {
    absl::SleepFor(absl::Milliseconds(20));
    (*stream)->Cancel();
  });
  EXPECT_THAT((*stream)->Read(absl::Seconds(20)),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT((*stream)->Read(absl::Seconds(20)),
              StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(CurlHttpClientTest, TheHeadOfAStreamIsWaitedForInTime) {
  HttpRequest request = Get("/stall");
  request.timeout = absl::Milliseconds(100);
  EXPECT_THAT(client().OpenStream(request).status(),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
}

// The reader of a flood stands still: the server must be stopped by that, not
// our memory filled, and others must be served meanwhile.
TEST_F(CurlHttpClientTest, ASlowReaderHoldsUpNobodyElse) {
  constexpr int kSize = 256 << 20;
  auto stream = client().OpenStream(Get("/flood/" + std::to_string(kSize)));
  ASSERT_THAT(stream, IsOk());

  int last = -1;
  ASSERT_TRUE(WaitUntil([&] {
    const int now = std::stoi(BodyOf("/flooded"));
    absl::SleepFor(absl::Milliseconds(100));
    return std::exchange(last, now) == now;
  }));
  EXPECT_LT(last, kSize / 4);

  size_t total = 0;
  while (true) {
    const auto bytes = (*stream)->Read(absl::Seconds(20));
    if (!bytes.ok()) {
      EXPECT_THAT(bytes, StatusIs(absl::StatusCode::kOutOfRange));
      break;
    }
    total += bytes->size();
  }
  EXPECT_EQ(total, static_cast<size_t>(kSize));
}

TEST_F(CurlHttpClientTest, AStreamOutlivesItsClient) {
  auto passing = Make(Options());
  auto stream = passing->OpenStream(Get("/ticks/20"));
  ASSERT_THAT(stream, IsOk());
  passing = nullptr;

  absl::Status end;
  EXPECT_THAT(ReadToEnd(**stream, end), ::testing::EndsWith("tick 19\n"));
}

TEST_F(CurlHttpClientTest, AStreamCanBeLeftUnread) {
  for (int i = 0; i < 20; ++i) {
    EXPECT_THAT(client().OpenStream(Get("/huge")), IsOk());
  }
  EXPECT_EQ(BodyOf("/ok"), "hello");
}

TEST_F(CurlHttpClientTest, OnlyTheNamedAuthorityIsTrusted) {
  CurlHttpClientOptions another = Options();
  another.ca_pem = latchkey_testing::NewAuthority().certificate_pem();
  CurlHttpClientOptions system = Options();
  system.ca_pem = "";
  for (const CurlHttpClientOptions& options : {another, system}) {
    const auto response = Make(options)->Send(Get("/ok"));
    EXPECT_THAT(response, StatusIs(absl::StatusCode::kUnavailable,
                                   HasSubstr("certificate")));
    EXPECT_TRUE(WasNotSent(response.status()));
  }
}

TEST_F(CurlHttpClientTest, TheServersNameIsChecked) {
  HostileHttpsServer named({.profile = {.common_name = "server",
                                        .dns_names = {"api.latchkey.test"},
                                        .server_auth = true}});
  CurlHttpClientOptions options;
  options.base_url = named.url();
  options.ca_pem = named.ca_pem();
  EXPECT_THAT(Make(options)->Send(Get("/ok")),
              StatusIs(absl::StatusCode::kUnavailable));

  options.tls_server_name = "api.latchkey.test";
  const auto response = Make(options)->Send(Get("/echo"));
  ASSERT_THAT(response, IsOk());
  EXPECT_THAT(response->body,
              HasSubstr("host: 127.0.0.1:" + std::to_string(named.port())));

  options.tls_server_name = "other.latchkey.test";
  EXPECT_THAT(Make(options)->Send(Get("/ok")),
              StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(CurlHttpClientTest, ShowsItsCertificate) {
  HostileHttpsServer strict({.wants_client_certificate = true});
  CurlHttpClientOptions options;
  options.base_url = strict.url();
  options.ca_pem = strict.ca_pem();
  EXPECT_THAT(Make(options)->Send(Get("/ok")),
              StatusIs(absl::StatusCode::kUnavailable));

  const auto identity = IssueFor(
      strict.authority(), {.common_name = "client", .client_auth = true});
  options.client_certificate_pem = identity.certificate_pem;
  options.client_key_pem = identity.private_key_pem;
  EXPECT_THAT(Make(options)->Send(Get("/ok")), IsOk());
}

TEST_F(CurlHttpClientTest, AProxyIsUsedOnlyIfAskedFor) {
  setenv("HTTPS_PROXY", "http://127.0.0.1:1", 1);
  EXPECT_THAT(Make(Options())->Send(Get("/ok")), IsOk());
  CurlHttpClientOptions options = Options();
  options.proxy_from_environment = true;
  EXPECT_THAT(Make(options)->Send(Get("/ok")),
              StatusIs(absl::StatusCode::kUnavailable));
  unsetenv("HTTPS_PROXY");
}

TEST_F(CurlHttpClientTest, ANewServerAtTheOldPlaceIsConnectedTo) {
  std::optional<HostileHttpsServer> mortal(std::in_place);
  CurlHttpClientOptions options;
  options.base_url = mortal->url();
  options.ca_pem = mortal->ca_pem();
  const auto client = Make(options);
  ASSERT_THAT(client->Send(Get("/ok")), IsOk());

  mortal->process().Signal(SIGKILL);
  mortal->process().AwaitExit(absl::Seconds(10));

  const auto response = client->Send(Post("/ok", "body"));
  EXPECT_THAT(response, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_TRUE(WasNotSent(response.status()))
      << "a connection that is known to be dead must not be written to";
}

// With as many files open as may be.
class OutOfDescriptors {
 public:
  OutOfDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit none = before_;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
  }
  OutOfDescriptors(const OutOfDescriptors&) = delete;
  OutOfDescriptors& operator=(const OutOfDescriptors&) = delete;
  ~OutOfDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_ = {};
};

TEST_F(CurlHttpClientTest, WithoutADescriptorThereIsAnErrorAndNoLongWait) {
  const absl::Time start = absl::Now();
  {
    const OutOfDescriptors limit;
    EXPECT_THAT(CurlHttpClient::Create(Options()),
                StatusIs(absl::StatusCode::kInternal));
    EXPECT_THAT(client().Send(Get("/ok")),
                StatusIs(absl::StatusCode::kUnavailable));
  }
  EXPECT_LT(absl::Now() - start, absl::Seconds(20));
  EXPECT_THAT(client().Send(Get("/ok")), IsOk());
}

TEST(CurlHttpClientOptionsTest, BadOptionsAreRefused) {
  struct Case {
    const char* url;
    const char* certificate;
    const char* name;
  };
  for (const Case& c : std::vector<Case>{{"http://127.0.0.1", "", ""},
                                         {"https://", "", ""},
                                         {"https://user@host", "", ""},
                                         {"https://host?query", "", ""},
                                         {"https://host#part", "", ""},
                                         {"https://host:0", "", ""},
                                         {"https://host:65536", "", ""},
                                         {"https://host:8x", "", ""},
                                         {"https://ho st", "", ""},
                                         {"https://host\n", "", ""},
                                         {"https://host\\a", "", ""},
                                         {"https://[::1", "", ""},
                                         {"https://host", "half", ""},
                                         {"https://host", "", "na:me"}}) {
    CurlHttpClientOptions options;
    options.base_url = c.url;
    options.client_certificate_pem = c.certificate;
    options.tls_server_name = c.name;
    EXPECT_THAT(CurlHttpClient::Create(options).status(),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << c.url;
  }
  for (const char* url :
       {"https://host", "https://host/", "https://host:1/a/b/",
        "https://10.0.0.1:6443", "https://[::1]", "https://[fe80::1]:6443"}) {
    CurlHttpClientOptions options;
    options.base_url = url;
    EXPECT_THAT(CurlHttpClient::Create(options), IsOk()) << url;
  }
}

}  // namespace
}  // namespace latchkey
