#include "clients/kubernetes/file_api_access.h"

#include <atomic>
#include <filesystem>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/fakes/fake_http_client.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace latchkey {
namespace {

using ::latchkey_testing::FakeClock;
using ::latchkey_testing::FakeHttpClient;
using ::latchkey_testing::IsOk;
using ::latchkey_testing::StatusIs;
using ::latchkey_testing::TempDir;
using ::testing::AllOf;
using ::testing::HasSubstr;

class FileApiAccessTest : public ::testing::Test {
 protected:
  FileApiAccessTest() {
    dir_.Write("ca.crt", "CA 1");
    dir_.Write("tls.crt", "CERT 1");
    dir_.Write("tls.key", "KEY 1");
    dir_.Write("token", "token-1\n");
    WriteKubeconfig("https://one");
  }

  void WriteKubeconfig(const std::string& server) {
    dir_.Write("config", fmt::format(R"(
current-context: x
contexts: [{{name: x, context: {{cluster: x, user: x}}}}]
clusters: [{{name: x, cluster: {{server: "{}", certificate-authority: ca.crt}}}}]
users: [{{name: x, user: {{client-certificate: tls.crt, client-key: tls.key,
                         tokenFile: token}}}}]
)",
                                     server));
  }
  // By another file in its place, as those who rotate credentials do it.
  void Replace(const std::string& name, const std::string& content) {
    std::filesystem::rename(dir_.Write(name + ".new", content),
                            dir_.File(name));
  }

  FileApiAccess::Options Options() {
    return {.kubeconfig_path = dir_.File("config"),
            .make_client = [this](const ApiCredentials& credentials)
                -> absl::StatusOr<std::shared_ptr<HttpClient>> {
              ++clients_;
              seen_ = credentials;
              return std::make_shared<FakeHttpClient>(
                  [](const HttpRequest&) { return HttpResponse(); });
            }};
  }
  std::unique_ptr<FileApiAccess> Make() {
    auto access = FileApiAccess::Create(Options(), clock_);
    EXPECT_THAT(access, IsOk());
    return access.ok() ? *std::move(access) : nullptr;
  }

  static std::string TokenOf(ApiAccess& access) {
    return std::string(access.Current()->bearer_token.Reveal());
  }

  TempDir dir_;
  FakeClock clock_;
  std::atomic<int> clients_ = 0;
  ApiCredentials seen_;
};

TEST_F(FileApiAccessTest, ReadsEverythingOnce) {
  const auto access = Make();

  EXPECT_EQ(TokenOf(*access), "token-1");
  EXPECT_EQ(seen_.server, "https://one");
  EXPECT_EQ(access->server(), "https://one");
  EXPECT_EQ(seen_.ca_pem, "CA 1");
  EXPECT_EQ(seen_.client_certificate_pem, "CERT 1");
  EXPECT_EQ(seen_.client_key_pem.Reveal(), "KEY 1");
  EXPECT_EQ(clients_, 1);
}

TEST_F(FileApiAccessTest, ANewTokenIsUsedOnTheSameConnections) {
  const auto access = Make();
  const auto http = access->Current()->http;
  Replace("token", "token-2");

  EXPECT_EQ(TokenOf(*access), "token-1");  // looked at within this second
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(TokenOf(*access), "token-2");
  EXPECT_EQ(access->Current()->http, http);
  EXPECT_EQ(clients_, 1);
}

TEST_F(FileApiAccessTest, ANewIdentityMakesNewConnections) {
  const auto access = Make();
  const auto before = access->Current();
  for (const char* file : {"ca.crt", "tls.crt", "tls.key"}) {
    Replace(file, "another");
    clock_.Advance(absl::Seconds(1));
    access->Current();
  }
  EXPECT_EQ(clients_, 4);
  EXPECT_EQ(seen_.ca_pem, "another");
  EXPECT_NE(before->http, nullptr);  // for the requests under way

  WriteKubeconfig("https://another");
  clock_.Advance(absl::Seconds(1));
  access->Current();
  EXPECT_EQ(access->server(), "https://another");
  EXPECT_EQ(clients_, 5);
}

TEST_F(FileApiAccessTest, TheSameBytesAgainChangeNothing) {
  const auto access = Make();
  const auto before = access->Current();
  Replace("tls.key", "KEY 1");
  clock_.Advance(absl::Seconds(1));

  EXPECT_EQ(access->Current(), before);
}

TEST_F(FileApiAccessTest, A401LooksAtOnce) {
  const auto access = Make();
  const auto rejected = access->Current();
  EXPECT_FALSE(access->Renew(*rejected));
  Replace("token", "token-2");

  EXPECT_TRUE(access->Renew(*rejected));
  EXPECT_EQ(TokenOf(*access), "token-2");
  EXPECT_TRUE(access->Renew(*rejected)) << "another thread's 401, a bit later";
}

TEST_F(FileApiAccessTest, WhatCannotBeUsedLeavesTheOldInPlace) {
  const auto access = Make();
  for (const auto& break_it : std::vector<std::function<void()>>{
           [&] { Replace("token", ""); },
           [&] { Replace("token", "two\nlines"); },
           [&] { std::filesystem::remove(dir_.File("tls.key")); },
           [&] { Replace("config", "kind: Pod"); },
           [&] { std::filesystem::remove(dir_.File("config")); }}) {
    break_it();
    clock_.Advance(absl::Seconds(1));
    EXPECT_EQ(TokenOf(*access), "token-1");
  }
  dir_.Write("tls.key", "KEY 2");
  dir_.Write("token", "token-2");
  WriteKubeconfig("https://two");
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(TokenOf(*access), "token-2");
  EXPECT_EQ(access->server(), "https://two");
}

TEST_F(FileApiAccessTest, AllMissingFilesAreToldAtOnce) {
  std::filesystem::remove(dir_.File("ca.crt"));
  std::filesystem::remove(dir_.File("token"));
  EXPECT_THAT(FileApiAccess::Create(Options(), clock_).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr(dir_.File("ca.crt")),
                             HasSubstr(dir_.File("token")))));
}

TEST_F(FileApiAccessTest, AClockThatIsSetBackStopsNothing) {
  const auto access = Make();
  Replace("token", "token-2");
  clock_.Advance(-absl::Hours(1));
  EXPECT_EQ(TokenOf(*access), "token-2");
}

TEST_F(FileApiAccessTest, ThreadsMayAskWhileFilesChange) {
  const auto access = Make();
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        const auto session = access->Current();
        EXPECT_NE(session->http, nullptr);
        access->Renew(*session);
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    Replace(i % 2 == 0 ? "token" : "tls.key", "value-" + std::to_string(i));
    clock_.Advance(absl::Seconds(1));
  }
  threads.clear();
  EXPECT_EQ(TokenOf(*access), "value-48");
}

}  // namespace
}  // namespace latchkey
