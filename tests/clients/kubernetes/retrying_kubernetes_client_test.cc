#include "clients/kubernetes/retrying_kubernetes_client.h"

#include <vector>

#include <gmock/gmock.h>

#include "clients/http/http_status.h"
#include "core/refusal.h"
#include "tests/fakes/fake_kubernetes_client.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using kubernetes::Secret;
using ::latchkey_testing::FakeKubernetesClient;
using ::latchkey_testing::IsOk;
using ::latchkey_testing::StatusIs;
using ::latchkey_testing::Verb;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class RetryingClientTest : public ::testing::Test {
 protected:
  RetryingKubernetesClient::Options Options() {
    return {.max_attempts = 4,
            .max_elapsed = absl::Seconds(20),
            .first_backoff = absl::Milliseconds(100),
            .last_backoff = absl::Milliseconds(200),
            .sleep = [this](absl::Duration d) { slept_.push_back(d); },
            .random = [this] { return random_; }};
  }

  static absl::Status Busy(int seconds = 0) {
    const absl::Status busy = absl::ResourceExhaustedError("busy");
    return seconds == 0 ? busy : WithRetryAfter(busy, absl::Seconds(seconds));
  }
  void Fail(Verb verb, const absl::Status& status, int times = 1) {
    for (int i = 1; i <= times; ++i) fake_.FailNext(verb, i, status);
  }
  static Secret NewSecret() {
    Secret secret;
    secret.mutable_metadata()->set_namespace_("default");
    secret.mutable_metadata()->set_name("name");
    return secret;
  }

  FakeKubernetesClient fake_;
  double random_ = 0;
  std::vector<absl::Duration> slept_;
  RetryingKubernetesClient client_{fake_, Options()};
};

TEST_F(RetryingClientTest, ABusyServerIsAskedAgainForAWriteToo) {
  Fail(Verb::kCreate, Busy(), 3);

  EXPECT_THAT(client_.Create(NewSecret()), IsOk());
  EXPECT_THAT(slept_,
              ElementsAre(absl::Milliseconds(100), absl::Milliseconds(200),
                          absl::Milliseconds(200)));
}

TEST_F(RetryingClientTest, TheServersDelayIsHonouredWithJitterOnTop) {
  random_ = 0.5;
  Fail(Verb::kCreate, Busy(2));

  EXPECT_THAT(client_.Create(NewSecret()), IsOk());
  EXPECT_THAT(slept_, ElementsAre(absl::Milliseconds(2500)));
}

TEST_F(RetryingClientTest, AttemptsAreBounded) {
  Fail(Verb::kGet, absl::UnavailableError("down"), 10);

  EXPECT_THAT(client_.Get<Secret>({"default", "name"}),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(fake_.Calls(Verb::kGet), 4);
}

TEST_F(RetryingClientTest, TimeIsBounded) {
  Fail(Verb::kCreate, Busy(15), 10);

  EXPECT_THAT(client_.Create(NewSecret()),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(fake_.Calls(Verb::kCreate), 2);
}

TEST_F(RetryingClientTest, AWriteWithoutAnAnswerIsPassedUp) {
  for (const absl::Status& lost :
       {absl::UnavailableError("lost"), absl::DeadlineExceededError("late"),
        absl::InternalError("500")}) {
    Fail(Verb::kCreate, lost);
    EXPECT_THAT(client_.Create(NewSecret()), StatusIs(lost.code()));
    Fail(Verb::kUpdate, lost);
    EXPECT_THAT(client_.Update(NewSecret()), StatusIs(lost.code()));
    Fail(Verb::kDelete, lost);
    EXPECT_THAT(client_.Delete<Secret>({"default", "name"}),
                StatusIs(lost.code()));
  }
  EXPECT_THAT(slept_, IsEmpty());
}

TEST_F(RetryingClientTest, AWriteThatWasNeverSentIsSentAgain) {
  Fail(Verb::kCreate, MarkNotSent(absl::UnavailableError("no route")));

  EXPECT_THAT(client_.Create(NewSecret()), IsOk());
  EXPECT_EQ(fake_.Calls(Verb::kCreate), 2);
}

TEST_F(RetryingClientTest, AReadIsAskedAgain) {
  ASSERT_THAT(client_.Create(NewSecret()), IsOk());
  for (const absl::Status& lost :
       {absl::UnavailableError("lost"), absl::DeadlineExceededError("late"),
        absl::InternalError("500"), Busy()}) {
    Fail(Verb::kGet, lost);
    EXPECT_THAT(client_.Get<Secret>({"default", "name"}), IsOk());
    Fail(Verb::kList, lost);
    EXPECT_THAT(client_.List<kubernetes::SecretList>({}), IsOk());
  }
}

TEST_F(RetryingClientTest, AnAnswerIsAnAnswer) {
  for (const absl::Status& answer :
       {absl::NotFoundError("no"), absl::PermissionDeniedError("no"),
        absl::UnauthenticatedError("no"), absl::AbortedError("no"),
        absl::OutOfRangeError("no"), absl::CancelledError("no")}) {
    Fail(Verb::kGet, answer);
    EXPECT_THAT(client_.Get<Secret>({"default", "name"}),
                StatusIs(answer.code()));
  }
  EXPECT_THAT(slept_, IsEmpty());
}

}  // namespace
}  // namespace latchkey
