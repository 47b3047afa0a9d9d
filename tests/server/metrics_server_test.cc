#include "server/metrics_server.h"

#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/testing/http_get.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::HttpExchange;
using latchkey_testing::HttpGet;
using latchkey_testing::IsOk;
using latchkey_testing::StatusIs;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class MetricsServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto server = MetricsServer::Start(
        "127.0.0.1:0", {.metrics = [] { return std::string("up 1\n"); },
                        .ready = [this] { return ready_.load(); }});
    ASSERT_THAT(server, IsOk());
    server_ = *std::move(server);
    ASSERT_NE(server_->port(), 0);
  }
  std::atomic<bool> ready_ = true;
  std::unique_ptr<MetricsServer> server_;
};

TEST_F(MetricsServerTest, AnswersItsThreeQuestions) {
  EXPECT_THAT(HttpGet(server_->port(), "/metrics"),
              AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("version=0.0.4"),
                    EndsWith("\r\n\r\nup 1\n")));
  EXPECT_THAT(HttpGet(server_->port(), "/healthz"),
              StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(HttpGet(server_->port(), "/readyz"), StartsWith("HTTP/1.1 200 "));
  ready_ = false;
  EXPECT_THAT(HttpGet(server_->port(), "/readyz"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(HttpGet(server_->port(), "/healthz"),
              StartsWith("HTTP/1.1 200 "));
}

TEST_F(MetricsServerTest, AnswersNothingElse) {
  const int port = server_->port();
  for (const char* path : {"/", "/metrics/x", "/../etc/passwd",
                           "/%2e%2e/etc/passwd", "/index.html"}) {
    EXPECT_THAT(HttpGet(port, path),
                AllOf(StartsWith("HTTP/1.1 4"), Not(HasSubstr("root:"))))
        << path;
  }
  EXPECT_THAT(HttpExchange(port,
                           "POST /metrics HTTP/1.1\r\nHost: x\r\n"
                           "Content-Length: 0\r\n\r\n"),
              StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(HttpExchange(port, "nonsense\r\n\r\n"),
              Not(StartsWith("HTTP/1.1 200 ")));
  EXPECT_THAT(HttpGet(port, "/" + std::string(100'000, 'x')),
              Not(StartsWith("HTTP/1.1 200 ")));
}

TEST_F(MetricsServerTest, ManyAtOnceAreAnswered) {
  std::vector<std::jthread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([this] {
      for (int n = 0; n < 10; ++n) {
        EXPECT_THAT(HttpGet(server_->port(), "/metrics"),
                    StartsWith("HTTP/1.1 200 "));
      }
    });
  }
}

TEST_F(MetricsServerTest, APortThatIsTakenIsAnError) {
  EXPECT_THAT(MetricsServer::Start(fmt::format("127.0.0.1:{}", server_->port()),
                                   {.metrics = [] { return std::string(); },
                                    .ready = [] { return true; }}),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("taken")));
}

}  // namespace
}  // namespace latchkey
