#include "services/jwks_source.h"

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>

#include <gmock/gmock.h>

#include "core/reasons.h"
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

TEST_F(JwksSourceTest, ASlowReadHoldsUpOnlyWhoNeedsIt) {
  std::atomic<bool> slow = false;
  std::atomic<bool> reading = false;
  std::atomic<bool> release = false;
  auto http = std::make_unique<FakeHttpClient>(
      [&](const HttpRequest& /*request*/) -> absl::StatusOr<HttpResponse> {
        ++fetched_;
        if (!slow) {
          return HttpResponse{.status = 200, .body = JwkSetOf({old_.Jwk()})};
        }
        reading = true;
        WaitUntil([&] { return release.load(); });
        return HttpResponse{.status = 200,
                            .body = JwkSetOf({old_.Jwk(), new_.Jwk()})};
      });
  const auto source = JwksSource::OfUrl("u", std::move(http), "/keys",
                                        absl::Minutes(10), clock_);
  ASSERT_THAT(source->Find(TokenOf(old_)), IsOk());
  slow = true;
  clock_.Advance(absl::Minutes(1));
  std::atomic<int> found = 0;
  {
    const auto wait_for_new = [&] {
      if (source->Find(TokenOf(new_)).ok()) ++found;
    };
    const std::jthread reader(wait_for_new);
    ASSERT_TRUE(WaitUntil([&] { return reading.load(); }));
    const std::jthread waiter(wait_for_new);
    EXPECT_THAT(source->Find(TokenOf(old_)), IsOk()) << "does not wait";
    release = true;
  }
  EXPECT_EQ(found, 2);
  EXPECT_EQ(fetched_, 2);
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
