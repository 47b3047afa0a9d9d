#include "server/cluster_probe.h"

#include <atomic>

#include <absl/status/status.h>
#include <gmock/gmock.h>

#include "tests/fakes/fake_kubernetes_client.h"
#include "tests/testing/wait_until.h"

namespace latchkey {
namespace {

using latchkey_testing::FakeKubernetesClient;
using latchkey_testing::Verb;
using latchkey_testing::WaitUntil;

constexpr absl::Duration kOften = absl::Milliseconds(1);

// Whether the probe comes to say that after an answer with `status`.
bool Says(bool reachable, const absl::Status& status) {
  FakeKubernetesClient client;
  // It would be the other way round without this answer.
  if (reachable) {
    client.FailNext(Verb::kGet, 1, absl::UnavailableError("gone"));
    client.FailNext(Verb::kGet, 2, status);
  } else {
    for (int i = 2; i < 2000; ++i) client.FailNext(Verb::kGet, i, status);
  }
  ClusterProbe probe(client, kOften);
  return WaitUntil([&] { return client.Calls(Verb::kGet) >= 3; }) &&
         WaitUntil([&] { return probe.reachable() == reachable; },
                   absl::Seconds(1));
}

TEST(ClusterProbeTest, AnObjectThatIsNotThereIsAnAnswer) {
  FakeKubernetesClient client;
  const ClusterProbe probe(client, kOften);
  EXPECT_TRUE(WaitUntil([&] { return probe.reachable(); }));
}

TEST(ClusterProbeTest, ABusyClusterIsThere) {
  EXPECT_TRUE(Says(true, absl::ResourceExhaustedError("busy")));
}

TEST(ClusterProbeTest, WhatIsNoAnswerOfTheClusters) {
  for (const absl::Status& status :
       {absl::UnavailableError("gone"), absl::DeadlineExceededError("hangs"),
        absl::InternalError("etcd"), absl::UnauthenticatedError("who"),
        absl::PermissionDeniedError("may not")}) {
    EXPECT_TRUE(Says(false, status)) << status;
  }
}

TEST(ClusterProbeTest, NoticesBoth) {
  FakeKubernetesClient client;
  client.FailNext(Verb::kGet, 1, absl::UnavailableError("gone"));
  client.FailNext(Verb::kGet, 5, absl::UnavailableError("gone"));
  bool before = true;
  bool after = false;
  std::atomic<const ClusterProbe*> made = nullptr;
  // Each answer is looked at before the next request.
  const auto reachable = [&] {
    WaitUntil([&] { return made.load() != nullptr; });
    return made.load()->reachable();
  };
  client.BeforeNext(Verb::kGet, 2, [&] { before = reachable(); });
  client.BeforeNext(Verb::kGet, 5, [&] { after = reachable(); });
  client.BeforeNext(Verb::kGet, 6, [&] { before |= reachable(); });
  const ClusterProbe probe(client, kOften);
  made = &probe;
  ASSERT_TRUE(WaitUntil([&] { return client.Calls(Verb::kGet) >= 7; }));
  EXPECT_FALSE(before);
  EXPECT_TRUE(after);
}

}  // namespace
}  // namespace latchkey
