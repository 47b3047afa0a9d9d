// A Reflector on the real API server, through its accidents.

#include <signal.h>

#include <atomic>
#include <map>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "clients/kubernetes/reflector.h"
#include "core/mutex.h"
#include "tests/e2e/cluster_client.h"
#include "tests/testing/control_plane.h"
#include "tests/testing/fault_proxy.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using latchkey::MutexLock;
using latchkey::kubernetes::ConfigMap;
using latchkey::kubernetes::ConfigMapList;

constexpr char kNamespace[] = "kube-public";

// Keeps what a Reflector tells: the value "v" of each ConfigMap by name.
class Mirror {
 public:
  explicit Mirror(latchkey::KubernetesClient& client,
                  absl::Duration watch_timeout = absl::Minutes(5))
      : reflector_(client,
                   {.name_space = kNamespace,
                    .label_selector = "mirror",
                    .page_size = 2,
                    .watch_timeout = watch_timeout},
                   {.on_list =
                        [this](const std::vector<ConfigMap>& objects,
                               const std::string&) {
                          ++lists_;
                          const MutexLock lock(mutex_);
                          values_.clear();
                          for (const ConfigMap& map : objects) Keep(map);
                        },
                    .on_change =
                        [this](const ConfigMap& map) {
                          const MutexLock lock(mutex_);
                          Keep(map);
                        },
                    .on_delete =
                        [this](const ConfigMap& map) {
                          const MutexLock lock(mutex_);
                          values_.erase(map.metadata().name());
                        }}),
        thread_([this] { reflector_.Run(); }) {}
  ~Mirror() { Stop(); }

  void Stop() {
    reflector_.Stop();
    if (thread_.joinable()) thread_.join();
  }
  bool fresh() const { return reflector_.fresh(); }
  int lists() const { return lists_; }
  std::map<std::string, std::string> values() {
    const MutexLock lock(mutex_);
    return values_;
  }
  bool Shows(const std::string& name, const std::string& value) {
    return WaitUntil([&] {
      const auto all = values();
      const auto it = all.find(name);
      return it != all.end() && it->second == value;
    });
  }

 private:
  void Keep(const ConfigMap& map) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    values_[map.metadata().name()] = map.data().at("v");
  }

  std::atomic<int> lists_ = 0;
  latchkey::Mutex mutex_;
  std::map<std::string, std::string> values_ ABSL_GUARDED_BY(mutex_);
  latchkey::Reflector<ConfigMap, ConfigMapList> reflector_;
  std::thread thread_;
};

class ReflectorTest : public ControlPlaneTest {
 protected:
  explicit ReflectorTest(const ControlPlaneOptions& options = {})
      : ControlPlaneTest(options) {}

  void SetUp() override {
    ControlPlaneTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    client_ = ClientOfKubeconfig(cluster().admin_kubeconfig());
  }

  latchkey::KubernetesClient& client() { return *client_; }

  // Creates or updates it, however often the server has to be asked.
  void Put(const std::string& name, const std::string& value) {
    ASSERT_TRUE(WaitUntil([&] {
      const auto there = client().Get<ConfigMap>({kNamespace, name});
      ConfigMap map = there.ok() ? *there : ConfigMap();
      map.mutable_metadata()->set_namespace_(kNamespace);
      map.mutable_metadata()->set_name(name);
      (*map.mutable_metadata()->mutable_labels())["mirror"] = "";
      (*map.mutable_data())["v"] = value;
      return (there.ok() ? client().Update(map) : client().Create(map)).ok();
    })) << name;
  }

 private:
  std::unique_ptr<latchkey::KubernetesClient> client_;
};

TEST_F(ReflectorTest, ListsInPagesThenFollows) {
  for (int i = 0; i < 5; ++i) Put(fmt::format("list-{}", i), "1");
  Mirror mirror(client());

  EXPECT_TRUE(mirror.Shows("list-4", "1"));
  EXPECT_TRUE(WaitUntil([&] { return mirror.fresh(); }));
  Put("list-0", "2");
  Put("list-new", "1");
  EXPECT_TRUE(mirror.Shows("list-0", "2"));
  EXPECT_TRUE(mirror.Shows("list-new", "1"));
  ASSERT_THAT(client().Delete<ConfigMap>({kNamespace, "list-1"}), IsOk());
  EXPECT_TRUE(WaitUntil([&] { return !mirror.values().contains("list-1"); }));
  EXPECT_EQ(mirror.lists(), 1);
}

TEST_F(ReflectorTest, GoesOnAfterAWatchEndsWithoutAnotherList) {
  Mirror mirror(client(), absl::Seconds(2));
  Put("resume", "0");
  ASSERT_TRUE(mirror.Shows("resume", "0"));

  const absl::Time end = absl::Now() + absl::Seconds(7);
  for (int i = 1; absl::Now() < end; ++i) {
    Put("resume", std::to_string(i));
    ASSERT_TRUE(mirror.Shows("resume", std::to_string(i)));
  }

  EXPECT_EQ(mirror.lists(), 1);
  EXPECT_TRUE(mirror.fresh());
}

TEST_F(ReflectorTest, CatchesUpAfterTheServerWasKilled) {
  Mirror mirror(client());
  Put("killed", "before");
  ASSERT_TRUE(mirror.Shows("killed", "before"));

  cluster().Hold("kube-apiserver");
  ASSERT_THAT(cluster().Kill("kube-apiserver", SIGKILL), IsOk());
  EXPECT_TRUE(WaitUntil([&] { return !mirror.fresh(); }));
  cluster().Release("kube-apiserver");
  Put("killed", "after");

  EXPECT_TRUE(mirror.Shows("killed", "after"));
  EXPECT_TRUE(WaitUntil([&] { return mirror.fresh(); }));
}

TEST_F(ReflectorTest, StopWakesAListThatWaitsForAHungServer) {
  ASSERT_THAT(cluster().Kill("kube-apiserver", SIGSTOP), IsOk());
  {
    Mirror mirror(client());
    absl::SleepFor(absl::Milliseconds(200));  // until it is in the request
    const absl::Time begin = absl::Now();
    mirror.Stop();
    EXPECT_LT(absl::Now() - begin, absl::Seconds(5));
  }
  ASSERT_THAT(cluster().Kill("kube-apiserver", SIGCONT), IsOk());
  EXPECT_THAT(cluster().AwaitReady(), IsOk());
}

TEST_F(ReflectorTest, StopWakesAWatch) {
  Mirror mirror(client());
  ASSERT_TRUE(WaitUntil([&] { return mirror.fresh(); }));

  const absl::Time begin = absl::Now();
  mirror.Stop();
  EXPECT_LT(absl::Now() - begin, absl::Seconds(5));
  EXPECT_FALSE(mirror.fresh());
}

class GoawayTest : public ReflectorTest {
 protected:
  static constexpr int kThreads = 16;
  static constexpr int kEach = 50;
  static constexpr size_t kMany = size_t{kThreads} * kEach;

  GoawayTest() : ReflectorTest({.goaway_chance = 0.02}) {}

  void CreateMany(latchkey::KubernetesClient& client, const std::string& name) {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kEach; ++i) {
          CreateOne(client, fmt::format("goaway-{}-{}-{}", name, t, i));
        }
      });
    }
  }

  void CreateOne(latchkey::KubernetesClient& client, const std::string& name) {
    ConfigMap map;
    map.mutable_metadata()->set_namespace_(kNamespace);
    map.mutable_metadata()->set_name(name);
    (*map.mutable_metadata()->mutable_labels())["mirror"] = "";
    (*map.mutable_data())["v"] = "1";
    const auto result = client.Create(map);
    if (result.ok()) return;
    EXPECT_THAT(result, StatusIs(absl::StatusCode::kUnavailable));
    ++unanswered_;
    Put(name, "1");
  }

  // The administrator's, of the API server behind `proxy`.
  std::string KubeconfigBehind(const FaultProxy& proxy) {
    std::string text = ReadFile(cluster().admin_kubeconfig());
    const std::string url = cluster().url();
    const size_t at = text.find(url);
    EXPECT_NE(at, std::string::npos);
    text.replace(at, url.size(),
                 fmt::format("https://127.0.0.1:{}", proxy.port()));
    return dir_.Write("behind.kubeconfig", text);
  }
  int ApiServerPort() {
    const std::string url = cluster().url();
    return std::stoi(url.substr(url.rfind(':') + 1));
  }

  TempDir dir_;
  std::atomic<int> unanswered_ = 0;
};

// Two HTTP/2 requests in a hundred end their connection. Nothing may be done
// twice, and a write without an answer must say so.
TEST_F(GoawayTest, LosesNothingUnnoticed) {
  struct Case {
    const char* name;
    std::unique_ptr<latchkey::KubernetesClient> (*client)(const std::string&);
  };
  const Case cases[] = {
      {"http1", [](const auto& path) { return ClientOfKubeconfig(path); }},
      {"http2", Http2ClientOfKubeconfig}};
  size_t want = 0;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    FaultProxy proxy({ApiServerPort()}, 1);
    const auto client = c.client(KubeconfigBehind(proxy));
    ASSERT_NE(client, nullptr);
    Mirror mirror(*client);
    CreateMany(*client, c.name);
    want += kMany;
    EXPECT_TRUE(WaitUntil([&] { return mirror.values().size() >= want; }));
    EXPECT_EQ(mirror.lists(), 1);
    const int connections = proxy.Fates()[ConnectionFate::kWhole];
    if (c.name == std::string("http1")) {
      // The API server ends no HTTP/1.1 connection on its own.
      EXPECT_EQ(unanswered_, 0);
      EXPECT_LE(connections, kThreads + 2);
    } else {
      // One would do, if it were let live.
      EXPECT_GE(connections, 4) << "there was hardly a GOAWAY";
    }
  }
}

}  // namespace
}  // namespace latchkey_testing
