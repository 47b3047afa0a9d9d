#include "clients/kubernetes/reflector.h"

#include <map>
#include <thread>

#include <gmock/gmock.h>

#include "core/mutex.h"
#include "core/refusal.h"
#include "tests/fakes/fake_kubernetes_client.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/wait_until.h"

namespace latchkey {
namespace {

using kubernetes::Secret;
using kubernetes::SecretList;
using ::latchkey_testing::FakeKubernetesClient;
using ::latchkey_testing::IsOk;
using ::latchkey_testing::Verb;
using ::latchkey_testing::WaitUntil;

class ReflectorTest : public ::testing::Test {
 protected:
  ~ReflectorTest() override { StopAndJoin(); }

  void Start() {
    reflector_ = std::make_unique<Reflector<Secret, SecretList>>(
        fake_,
        ReflectorLoop::Options{.page_size = 2,
                               .first_backoff = absl::Milliseconds(1),
                               .last_backoff = absl::Milliseconds(5)},
        ReflectorHandler<Secret>{.on_list =
                                     [this](const std::vector<Secret>& secrets,
                                            const std::string& version) {
                                       const MutexLock lock(mutex_);
                                       ++lists_;
                                       version_ = version;
                                       values_.clear();
                                       for (const Secret& secret : secrets)
                                         Keep(secret);
                                     },
                                 .on_change =
                                     [this](const Secret& secret) {
                                       const MutexLock lock(mutex_);
                                       Keep(secret);
                                     },
                                 .on_delete =
                                     [this](const Secret& secret) {
                                       const MutexLock lock(mutex_);
                                       values_.erase(secret.metadata().name());
                                       version_ =
                                           secret.metadata().resource_version();
                                     },
                                 .on_bookmark =
                                     [this](const std::string& version) {
                                       const MutexLock lock(mutex_);
                                       version_ = version;
                                     },
                                 .on_fresh =
                                     [this](bool fresh) {
                                       const MutexLock lock(mutex_);
                                       told_fresh_.push_back(fresh);
                                     }});
    thread_ = std::thread([this] { reflector_->Run(); });
  }
  void StopAndJoin() {
    if (reflector_ != nullptr) reflector_->Stop();
    if (thread_.joinable()) thread_.join();
  }

  void Put(const std::string& name, const std::string& value) {
    Secret secret;
    secret.mutable_metadata()->set_namespace_("default");
    secret.mutable_metadata()->set_name(name);
    (*secret.mutable_data())["v"] = value;
    if (!fake_.Create(secret).ok()) {
      ASSERT_THAT(fake_.Update(secret), IsOk());
    }
  }
  bool Shows(const std::string& name, const std::string& value) {
    return WaitUntil([&] {
      const MutexLock lock(mutex_);
      const auto it = values_.find(name);
      return it != values_.end() && it->second == value;
    });
  }
  int lists() {
    const MutexLock lock(mutex_);
    return lists_;
  }
  size_t size() {
    const MutexLock lock(mutex_);
    return values_.size();
  }
  // The last version that a list, a deletion or a bookmark had.
  int version() {
    const MutexLock lock(mutex_);
    return version_.empty() ? 0 : std::stoi(version_);
  }
  std::vector<bool> told_fresh() {
    const MutexLock lock(mutex_);
    return told_fresh_;
  }
  bool BecomesFresh() {
    return WaitUntil([&] { return reflector_->fresh(); });
  }

  FakeKubernetesClient fake_;
  std::unique_ptr<Reflector<Secret, SecretList>> reflector_;

 private:
  void Keep(const Secret& secret) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    values_[secret.metadata().name()] = secret.data().at("v");
  }

  Mutex mutex_;
  int lists_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string version_ ABSL_GUARDED_BY(mutex_);
  std::vector<bool> told_fresh_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> values_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

TEST_F(ReflectorTest, ListsThenFollows) {
  for (const char* name : {"a", "b", "c", "d", "e"}) Put(name, "1");
  Start();

  ASSERT_TRUE(Shows("e", "1"));
  EXPECT_EQ(size(), 5U);
  EXPECT_TRUE(BecomesFresh());
  Put("a", "2");
  EXPECT_TRUE(Shows("a", "2"));
  ASSERT_THAT(fake_.Delete<Secret>({"default", "b"}), IsOk());
  EXPECT_TRUE(WaitUntil([&] { return size() == 4; }));
  EXPECT_EQ(lists(), 1);
  EXPECT_EQ(fake_.Calls(Verb::kList), 3);  // pages of two
}

TEST_F(ReflectorTest, AnEndedWatchIsResumedWithoutAList) {
  Start();
  for (int i = 0; i < 5; ++i) {
    Put("a", std::to_string(i));
    ASSERT_TRUE(Shows("a", std::to_string(i)));
    fake_.EndWatches();
  }
  Put("a", "last");
  EXPECT_TRUE(Shows("a", "last"));
  EXPECT_EQ(lists(), 1);
}

TEST_F(ReflectorTest, AForgottenVersionMakesANewList) {
  Put("gone", "1");
  Start();
  ASSERT_TRUE(Shows("gone", "1"));
  fake_.BeforeNext(Verb::kWatch, 1, [this] {
    ASSERT_THAT(fake_.Delete<Secret>({"default", "gone"}), IsOk());
    Put("new", "1");
    fake_.ForgetHistory();
  });
  fake_.EndWatches();

  EXPECT_TRUE(Shows("new", "1"));
  EXPECT_EQ(size(), 1U);
  EXPECT_GE(lists(), 2);
}

TEST_F(ReflectorTest, ForgettingBetweenPagesStartsTheListAgain) {
  for (const char* name : {"a", "b", "c"}) Put(name, "1");
  fake_.BeforeNext(Verb::kList, 2, [this] { fake_.ForgetHistory(); });
  Start();

  ASSERT_TRUE(Shows("c", "1"));
  EXPECT_EQ(size(), 3U);
  EXPECT_EQ(lists(), 1);
}

TEST_F(ReflectorTest, BookmarksMoveTheVersionOn) {
  Start();
  ASSERT_TRUE(WaitUntil([&] { return fake_.OpenWatches() == 1; }));
  fake_.SendBookmarks();
  fake_.EndWatches();
  Put("a", "1");
  EXPECT_TRUE(Shows("a", "1"));
  EXPECT_EQ(lists(), 1);
}

TEST_F(ReflectorTest, ListsDeletionsAndBookmarksSayTheirVersions) {
  Put("a", "1");
  Start();
  ASSERT_TRUE(Shows("a", "1"));
  const int listed = version();
  EXPECT_GT(listed, 0);
  ASSERT_THAT(fake_.Delete<Secret>({"default", "a"}), IsOk());
  ASSERT_TRUE(WaitUntil([&] { return version() > listed; }));
  const int deleted = version();
  kubernetes::ConfigMap other;
  other.mutable_metadata()->set_namespace_("default");
  other.mutable_metadata()->set_name("other");
  ASSERT_THAT(fake_.Create(other), IsOk());
  fake_.SendBookmarks();
  EXPECT_TRUE(WaitUntil([&] { return version() > deleted; }));
}

TEST_F(ReflectorTest, SaysWhenItBecomesFreshAndWhenItIsNot) {
  Start();
  ASSERT_TRUE(BecomesFresh());
  EXPECT_TRUE(WaitUntil([&] { return told_fresh() == std::vector{true}; }));
  for (int i = 1; i <= 3; ++i) {
    fake_.FailNext(Verb::kWatch, i, absl::UnavailableError("down"));
  }
  fake_.EndWatches();
  EXPECT_TRUE(WaitUntil([&] {
    return told_fresh() == std::vector{true, false, true};
  }));
}

TEST_F(ReflectorTest, ErrorsAreWaitedOut) {
  for (int i = 1; i <= 3; ++i) {
    fake_.FailNext(Verb::kList, i, absl::UnavailableError("down"));
  }
  for (int i = 1; i <= 3; ++i) {
    fake_.FailNext(Verb::kWatch, i, absl::UnavailableError("down"));
  }
  Start();
  Put("a", "1");

  EXPECT_TRUE(Shows("a", "1"));
  EXPECT_TRUE(BecomesFresh());
}

TEST_F(ReflectorTest, IsNotFreshWhileTheServerIsAway) {
  Start();
  ASSERT_TRUE(BecomesFresh());
  for (int i = 1; i <= 1000; ++i) {
    fake_.FailNext(Verb::kWatch, i, absl::UnavailableError("down"));
  }
  fake_.EndWatches();
  EXPECT_TRUE(WaitUntil([&] { return !reflector_->fresh(); }));
  EXPECT_EQ(lists(), 1);
}

TEST_F(ReflectorTest, StopWakesItFromALongPause) {
  fake_.FailNext(
      Verb::kList, 1,
      WithRetryAfter(absl::ResourceExhaustedError("busy"), absl::Hours(1)));
  Start();
  ASSERT_TRUE(WaitUntil([&] { return fake_.Calls(Verb::kList) == 1; }));

  const absl::Time begin = absl::Now();
  StopAndJoin();
  EXPECT_LT(absl::Now() - begin, absl::Seconds(5));
  EXPECT_EQ(fake_.Calls(Verb::kList), 1);
}

TEST_F(ReflectorTest, StopWakesItFromAWatch) {
  Start();
  ASSERT_TRUE(WaitUntil([&] { return fake_.OpenWatches() == 1; }));
  const absl::Time begin = absl::Now();
  StopAndJoin();
  EXPECT_LT(absl::Now() - begin, absl::Seconds(5));
  EXPECT_FALSE(reflector_->fresh());
}

TEST_F(ReflectorTest, AfterStopItDoesNotRun) {
  Start();
  StopAndJoin();
  const int calls = fake_.Calls(Verb::kList);
  reflector_->Run();
  EXPECT_EQ(fake_.Calls(Verb::kList), calls);
}

}  // namespace
}  // namespace latchkey
