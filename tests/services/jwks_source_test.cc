#include "services/jwks_source.h"

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "tests/fakes/fake_http_client.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/jwt_issuer.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/wait_until.h"

namespace latchkey {
namespace {

using latchkey_testing::FakeClock;
using latchkey_testing::FakeHttpClient;
using latchkey_testing::IsOk;
using latchkey_testing::JwkSetOf;
using latchkey_testing::JwtKey;
using latchkey_testing::ReasonIs;
using latchkey_testing::SignJwt;
using latchkey_testing::StatusIs;
using latchkey_testing::TempDir;
using latchkey_testing::WaitUntil;

Jws TokenOf(const JwtKey& key) { return *Jws::Parse(SignJwt(key, "{}")); }

class JwksSourceTest : public ::testing::Test {
 protected:
  std::unique_ptr<JwksSource> OfUrl() {
    auto http =
        std::make_unique<FakeHttpClient>([this](const HttpRequest& request) {
          ++fetched_;
          EXPECT_EQ(request.target, "/keys");
          EXPECT_EQ(request.max_response_bytes, JwkSet::kMaxBytes);
          return answer_;
        });
    return JwksSource::OfUrl("https://ci.example/keys", std::move(http),
                             "/keys", absl::Minutes(10), clock_);
  }
  void Publish(const std::string& set) {
    answer_ = HttpResponse{.status = 200, .body = set};
  }

  const JwtKey old_{"ES256", "old"};
  const JwtKey new_{"ES256", "new"};
  FakeClock clock_;
  absl::StatusOr<HttpResponse> answer_ = absl::UnavailableError("down");
  std::atomic<int> fetched_ = 0;
};

TEST_F(JwksSourceTest, AUrlIsReadWhenItIsNeededAndEveryTenMinutes) {
  Publish(JwkSetOf({old_.Jwk()}));
  const auto source = OfUrl();
  EXPECT_EQ(fetched_, 0);
  for (int i = 0; i < 3; ++i) EXPECT_THAT(source->Find(TokenOf(old_)), IsOk());
  EXPECT_EQ(fetched_, 1);
  clock_.Advance(absl::Minutes(9));
  EXPECT_THAT(source->Find(TokenOf(old_)), IsOk());
  EXPECT_EQ(fetched_, 1);

  // A key that is taken back is gone after the next read.
  Publish(JwkSetOf({new_.Jwk()}));
  clock_.Advance(absl::Minutes(1));
  EXPECT_THAT(source->Find(TokenOf(old_)), ReasonIs(reason::kUnauthenticated));
  EXPECT_EQ(fetched_, 2);
}

TEST_F(JwksSourceTest, ANewKeyIsLookedForOnceAMinute) {
  Publish(JwkSetOf({old_.Jwk()}));
  const auto source = OfUrl();
  EXPECT_THAT(source->Find(TokenOf(old_)), IsOk());
  Publish(JwkSetOf({old_.Jwk(), new_.Jwk()}));
  clock_.Advance(absl::Seconds(59));
  // However many ask: a stranger can make up any number of names.
  for (int i = 0; i < 10; ++i) {
    EXPECT_THAT(source->Find(TokenOf(new_)),
                ReasonIs(reason::kUnauthenticated));
  }
  EXPECT_EQ(fetched_, 1);
  clock_.Advance(absl::Seconds(1));
  EXPECT_THAT(source->Find(TokenOf(new_)), IsOk());
  EXPECT_EQ(fetched_, 2);
}

TEST_F(JwksSourceTest, AClockThatIsSetBackPutsNoReadOff) {
  Publish(JwkSetOf({old_.Jwk()}));
  const auto source = OfUrl();
  EXPECT_THAT(source->Find(TokenOf(old_)), IsOk());
  Publish(JwkSetOf({new_.Jwk()}));
  clock_.Advance(-absl::Hours(1));
  EXPECT_THAT(source->Find(TokenOf(new_)), IsOk());
}

TEST_F(JwksSourceTest, TheLastGoodSetStaysWhileNoneCanBeRead) {
  Publish(JwkSetOf({old_.Jwk()}));
  const auto source = OfUrl();
  EXPECT_THAT(source->Find(TokenOf(old_)), IsOk());
  const absl::StatusOr<HttpResponse> bad[] = {
      absl::UnavailableError("down"),
      HttpResponse{.status = 500, .body = JwkSetOf({new_.Jwk()})},
      HttpResponse{.status = 302},
      HttpResponse{.status = 200, .body = "<html>"},
      HttpResponse{.status = 200, .body = JwkSetOf({})},
      HttpResponse{.status = 200, .body = JwkSetOf({new_.Jwk(R"(,"d":"")")})},
  };
  clock_.Advance(absl::Minutes(10));
  int reads = 1;
  for (const auto& answer : bad) {
    answer_ = answer;
    for (int i = 0; i < 3; ++i) {
      EXPECT_THAT(source->Find(TokenOf(old_)), IsOk());
    }
    EXPECT_EQ(fetched_, ++reads) << "one read a minute";
    clock_.Advance(absl::Minutes(1));
  }
  Publish(JwkSetOf({new_.Jwk()}));
  EXPECT_THAT(source->Find(TokenOf(new_)), IsOk());
}

TEST_F(JwksSourceTest, WithoutAnyKeysTheIssuerIsUnavailableNotTheToken) {
  const auto source = OfUrl();
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(source->Find(TokenOf(old_)),
                ReasonIs(reason::kIssuerUnavailable));
  }
  EXPECT_EQ(fetched_, 1);
  Publish(JwkSetOf({old_.Jwk()}));
  clock_.Advance(absl::Seconds(5));
  EXPECT_THAT(source->Find(TokenOf(old_)), IsOk());
}

// An issuer that answers when it is told to.
class SlowIssuerTest : public JwksSourceTest {
 protected:
  SlowIssuerTest()
      : source_(JwksSource::OfUrl("u",
                                  std::make_unique<FakeHttpClient>(
                                      [this](const HttpRequest& /*request*/) {
                                        ++fetched_;
                                        reading_ = true;
                                        WaitUntil(
                                            [&] { return release_.load(); });
                                        return answer_;
                                      }),
                                  "/keys", absl::Minutes(10), clock_)) {}

  // With this read done, the next one is slow.
  void HasRead(const std::string& set) {
    Publish(set);
    release_ = true;
    ASSERT_THAT(source_->Find(TokenOf(old_)), IsOk());
    release_ = false;
    reading_ = false;
    clock_.Advance(absl::Minutes(1));
  }
  // Asks for the new key on a thread of its own.
  std::jthread Ask() {
    return std::jthread([this] {
      const auto key = source_->Find(TokenOf(new_));
      if (key.ok()) ++found_;
      if (ReasonOf(key.status()) == reason::kIssuerUnavailable) ++turned_away_;
    });
  }
  bool AwaitReading() {
    return WaitUntil([&] { return reading_.load(); });
  }

  std::atomic<bool> reading_ = false;
  std::atomic<bool> release_ = false;
  std::atomic<int> found_ = 0;
  std::atomic<int> turned_away_ = 0;
  const std::unique_ptr<JwksSource> source_;
};

TEST_F(SlowIssuerTest, HoldsUpOnlyWhoNeedsItsAnswer) {
  HasRead(JwkSetOf({old_.Jwk()}));
  Publish(JwkSetOf({old_.Jwk(), new_.Jwk()}));
  {
    const std::jthread reader = Ask();
    ASSERT_TRUE(AwaitReading());
    const std::jthread waiter = Ask();
    EXPECT_THAT(source_->Find(TokenOf(old_)), IsOk()) << "does not wait";
    release_ = true;
  }
  EXPECT_EQ(found_, 2);
  EXPECT_EQ(fetched_, 2);
}

TEST_F(SlowIssuerTest, HoldsUpOnlySoMany) {
  HasRead(JwkSetOf({old_.Jwk()}));
  Publish(JwkSetOf({old_.Jwk(), new_.Jwk()}));
  constexpr int kMore = 5;
  {
    std::vector<std::jthread> callers;
    callers.push_back(Ask());
    ASSERT_TRUE(AwaitReading());
    for (int i = 0; i < JwksSource::kMaxWaiting + kMore; ++i) {
      callers.push_back(Ask());
    }
    EXPECT_TRUE(WaitUntil([&] { return turned_away_ == kMore; }));
    release_ = true;
  }
  EXPECT_EQ(turned_away_, kMore);
  EXPECT_EQ(found_, 1 + JwksSource::kMaxWaiting);
}

TEST_F(JwksSourceTest, AFileIsReadAgainWhenItChanges) {
  const TempDir dir;
  const std::string path = dir.Write("keys", JwkSetOf({old_.Jwk()}));
  const auto source = JwksSource::OfFile(path, clock_);
  ASSERT_THAT(source, IsOk());
  EXPECT_THAT((*source)->Find(TokenOf(old_)), IsOk());
  EXPECT_THAT((*source)->Find(TokenOf(new_)),
              ReasonIs(reason::kUnauthenticated));

  std::filesystem::rename(dir.Write("next", JwkSetOf({new_.Jwk()})), path);
  EXPECT_THAT((*source)->Find(TokenOf(new_)), IsOk());
  EXPECT_THAT((*source)->Find(TokenOf(old_)),
              ReasonIs(reason::kUnauthenticated));

  std::filesystem::rename(dir.Write("next", "half a f"), path);
  EXPECT_THAT((*source)->Find(TokenOf(new_)), IsOk()) << "the last good set";
  std::filesystem::remove(path);
  EXPECT_THAT((*source)->Find(TokenOf(new_)), IsOk());
}

TEST_F(JwksSourceTest, AFileMustBeUsableAtFirst) {
  const TempDir dir;
  EXPECT_THAT(JwksSource::OfFile(dir.File("none"), clock_),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       ::testing::HasSubstr(dir.File("none"))));
  EXPECT_THAT(JwksSource::OfFile(dir.Write("keys", "{}"), clock_),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace latchkey
