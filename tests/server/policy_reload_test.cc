#include "server/policy_reload.h"

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "clients/files/durable_file.h"
#include "core/reasons.h"
#include "server/broker_config.h"
#include "services/misuse.h"
#include "services/token_broker.h"
#include "storage/memory_token_store.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace latchkey {
namespace {

using latchkey_testing::FakeClock;
using latchkey_testing::IsOk;
using latchkey_testing::ReasonIs;
using latchkey_testing::StatusIs;
using latchkey_testing::TempDir;
using ::testing::AllOf;
using ::testing::HasSubstr;

const Identity kCaller = {.name = "cn:ci",
                          .attributes = {{"common_name", {"ci"}}}};

// A broker.yaml whose only rule lets ci mint for `pattern`.
std::string ConfigWith(std::string_view pattern, std::string_view more = "") {
  return fmt::format(R"(provisioner_api:
  certificate_file: a
  private_key_file: b
  client_ca_file: c
node_api:
  certificate_file: a
  private_key_file: b
policy:
  - name: only
    provisioners: [{{common_name: ci}}]
    allow: {{node_names: ["{}"]}}
{})",
                     pattern, more);
}

class PolicyReloadTest : public ::testing::Test {
 protected:
  bool Allows(const std::string& node_name) {
    return policy_.Current()
        ->Decide(kCaller, {.scope = {.node_name = node_name}})
        .ok();
  }
  // In the way that editors and ConfigMaps do it.
  void Replace(const std::string& text) {
    ASSERT_THAT(WriteFileDurably(path_, text, 0600), IsOk());
  }
  // As the serving loop does, until a change has settled.
  void PollUntilSettled() {
    reload_.Poll();
    clock_.Advance(PolicyReload::kSettle);
    reload_.Poll();
  }

  FakeClock clock_;
  TempDir dir_;
  const std::string text_ = ConfigWith("old-*");
  const std::string path_ = dir_.Write("broker.yaml", text_);
  LivePolicy policy_{Policy({{.name = "only",
                              .provisioners = {{{{"common_name", "ci"}}}},
                              .node_names = {"old-*"}}})};
  PolicyReload reload_{path_, text_, *StampOfFile(path_), {}, policy_, clock_};
};

TEST_F(PolicyReloadTest, TakesAChangedFileOver) {
  const std::string digest = reload_.counts().digest;
  Replace(ConfigWith("new-*"));
  clock_.Advance(absl::Seconds(5));
  PollUntilSettled();
  EXPECT_TRUE(Allows("new-1"));
  EXPECT_FALSE(Allows("old-1"));
  EXPECT_EQ(reload_.counts().reloaded, 1);
  EXPECT_EQ(reload_.counts().refused, 0);
  EXPECT_TRUE(reload_.counts().current);
  EXPECT_EQ(reload_.counts().loaded_at, clock_.Now());
  EXPECT_NE(reload_.counts().digest, digest);
}

TEST_F(PolicyReloadTest, LeavesAFileAloneThatStaysAsItIs) {
  PollUntilSettled();
  PollUntilSettled();
  EXPECT_EQ(reload_.counts().reloaded, 0);
  EXPECT_TRUE(Allows("old-1"));
}

TEST_F(PolicyReloadTest, WaitsUntilAFileWrittenInPlaceHasSettled) {
  // Each a well-formed file, and the first not what anybody meant.
  dir_.Write("broker.yaml", ConfigWith("new-*"));
  reload_.Poll();
  clock_.Advance(PolicyReload::kSettle - absl::Milliseconds(1));
  reload_.Poll();
  EXPECT_TRUE(Allows("old-1"));
  dir_.Write("broker.yaml", ConfigWith("newer-*"));
  reload_.Poll();
  clock_.Advance(PolicyReload::kSettle - absl::Milliseconds(1));
  reload_.Poll();
  EXPECT_TRUE(Allows("old-1"));
  clock_.Advance(absl::Milliseconds(1));
  reload_.Poll();
  EXPECT_TRUE(Allows("newer-1"));
  EXPECT_EQ(reload_.counts().reloaded, 1);
}

TEST_F(PolicyReloadTest, ABadFileChangesNothing) {
  struct Case {
    const char* name;
    std::string text;
    const char* says;
  };
  const Case cases[] = {
      {"no YAML", "policy: [", "not well-formed"},
      {"empty", "", "must be a mapping"},
      {"cut off", ConfigWith("new-*").substr(0, 200),
       "needs at least one pattern"},
      {"a mistake in the policy", ConfigWith("NEW-*"), "node name pattern"},
      {"a mistake elsewhere", ConfigWith("new-*", "tokens: {join_window: x}"),
       "join_window"},
      {"a test that fails",
       ConfigWith("new-*",
                  "policy_tests:\n"
                  "  - {name: t, identity: {common_name: ci}, "
                  "request: {node_name: old-1}, expect: allow}\n"),
       "broker.yaml:13: policy_tests[0]: self-test 't'"},
  };
  int64_t refused = 0;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    Replace(c.text);
    EXPECT_THAT(reload_.Reload(), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr(c.says)));
    EXPECT_TRUE(Allows("old-1"));
    EXPECT_FALSE(Allows("new-1"));
    EXPECT_EQ(reload_.counts().refused, ++refused);
    EXPECT_FALSE(reload_.counts().current);
    // Once: it is as bad as before.
    PollUntilSettled();
    EXPECT_EQ(reload_.counts().refused, refused);
  }
  // Mended.
  Replace(ConfigWith("new-*"));
  PollUntilSettled();
  EXPECT_TRUE(Allows("new-1"));
  EXPECT_TRUE(reload_.counts().current);
}

TEST_F(PolicyReloadTest, APolicyIsJudgedByTheIdentitiesInForce) {
  const auto with_attribute = [](std::string_view attribute,
                                 std::string_view rule) {
    return fmt::format(
        R"(provisioner_api: {{certificate_file: a, private_key_file: b}}
node_api: {{certificate_file: a, private_key_file: b}}
authentication:
  jwt:
    - name: ci
      issuer: https://ci.example.org
      audience: latchkey
      jwks_file: keys.json
      attributes: {{{}: claim}}
policy:
  - name: {}
    provisioners: [{{kind: jwt, {}: x}}]
    allow: {{node_names: ["new-*"]}}
policy_tests:
  - name: t
    identity: {{kind: jwt, issuer: "https://ci.example.org", {}: x}}
    request: {{node_name: new-1}}
    expect: allow
)",
        attribute, rule, attribute, attribute);
  };
  const std::string before = with_attribute("branch", "only");
  Replace(before);
  const auto config = ParseBrokerConfig(path_, before);
  ASSERT_THAT(config, IsOk());
  PolicyReload reload(path_, before, *StampOfFile(path_),
                      config->authentication, policy_, clock_);
  // By itself the file is right; but nobody has such an attribute yet.
  Replace(with_attribute("team", "only"));
  EXPECT_THAT(reload.Reload(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("team"), HasSubstr("restart"))));
  EXPECT_TRUE(Allows("old-1"));
  // Of a change beside it, what does not concern the policy is no matter.
  std::string other = with_attribute("branch", "renamed");
  other.replace(other.find("audience: latchkey"), 18, "audience: another");
  Replace(other);
  EXPECT_THAT(reload.Reload(), IsOk());
  EXPECT_FALSE(Allows("old-1"));
}

TEST_F(PolicyReloadTest, AskedForItReadsTheFileAtOnce) {
  dir_.Write("broker.yaml", ConfigWith("new-*"));
  EXPECT_THAT(reload_.Reload(), IsOk());
  EXPECT_TRUE(Allows("new-1"));
  PollUntilSettled();
  EXPECT_EQ(reload_.counts().reloaded, 1) << "not a second time";
  // A comment is no change.
  dir_.Write("broker.yaml", "# hello\n" + ConfigWith("new-*"));
  EXPECT_THAT(reload_.Reload(), IsOk());
  EXPECT_EQ(reload_.counts().reloaded, 1);
}

TEST_F(PolicyReloadTest, AFileThatIsAwayIsToldOnceAndReadWhenItIsBack) {
  std::filesystem::rename(path_, dir_.File("away"));
  PollUntilSettled();
  PollUntilSettled();
  EXPECT_EQ(reload_.counts().refused, 1);
  EXPECT_FALSE(reload_.counts().current);
  EXPECT_TRUE(Allows("old-1"));
  // Nothing of it looks changed.
  std::filesystem::rename(dir_.File("away"), path_);
  PollUntilSettled();
  EXPECT_TRUE(reload_.counts().current);
  EXPECT_TRUE(Allows("old-1"));
}

// kubelet: broker.yaml -> ..data/broker.yaml, ..data -> ..<time>, and the
// second link is swapped.
TEST_F(PolicyReloadTest, SeesAConfigMapChange) {
  namespace fs = std::filesystem;
  const TempDir mount;
  fs::create_directory(mount.File("..1"));
  mount.Write("..1/broker.yaml", text_);
  fs::create_symlink("..1", mount.File("..data"));
  fs::create_symlink("..data/broker.yaml", mount.File("broker.yaml"));
  const std::string path = mount.File("broker.yaml");
  PolicyReload reload(path, text_, *StampOfFile(path), {}, policy_, clock_);
  fs::create_directory(mount.File("..2"));
  mount.Write("..2/broker.yaml", ConfigWith("new-*"));
  ASSERT_THAT(SwapSymlink(mount.File("..data"), "..2"), IsOk());
  fs::remove_all(mount.File("..1"));
  reload.Poll();
  clock_.Advance(PolicyReload::kSettle);
  reload.Poll();
  EXPECT_TRUE(Allows("new-1"));
}

// Callers ask as fast as they can, which is far more than 500 times a second,
// while the policy changes under them and bad files come between.
TEST_F(PolicyReloadTest, NoRequestFailsBecauseOfAReload) {
  constexpr int kCallers = 4;
  constexpr int kRounds = 100;
  MemoryTokenStore store(clock_);
  NoAuditLog audit;
  MisuseGuard misuse(store, policy_, audit, clock_);
  RecordIndex index;
  TokenBroker broker({}, store, policy_, misuse, index, clock_);
  Replace(ConfigWith("both-*"));
  ASSERT_THAT(reload_.Reload(), IsOk());
  std::atomic<bool> stop = false;
  std::atomic<int64_t> asked = 0;
  std::atomic<int64_t> failed = 0;
  std::atomic<int64_t> torn = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.emplace_back([&] {
      while (!stop) {
        // Every good policy allows the first, and none the second.
        const IssueRequest request{.scope = {.node_name = "both-1"},
                                   .validate_only = true};
        if (!broker.Issue(kCaller, request).ok()) ++failed;
        const IssueRequest other{.scope = {.node_name = "other-1"},
                                 .validate_only = true};
        if (broker.Issue(kCaller, other).ok()) ++torn;
        asked += 2;
      }
    });
  }
  const absl::Time start = absl::Now();
  for (int round = 0; round < kRounds; ++round) {
    Replace(ConfigWith("both-1\", \"new-*"));
    EXPECT_THAT(reload_.Reload(), IsOk());
    Replace(ConfigWith(round % 2 == 0 ? "other-*\", \"NOT" : "other-*",
                       round % 2 == 0 ? "" : "nonsense: 1\n"));
    EXPECT_THAT(reload_.Reload(), StatusIs(absl::StatusCode::kInvalidArgument));
    Replace(ConfigWith("both-*"));
    EXPECT_THAT(reload_.Reload(), IsOk());
  }
  stop = true;
  for (std::thread& caller : callers) caller.join();
  const double rate =
      static_cast<double>(asked) / absl::ToDoubleSeconds(absl::Now() - start);
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(torn, 0);
  EXPECT_EQ(reload_.counts().refused, kRounds);
  EXPECT_EQ(reload_.counts().reloaded, 2 * kRounds + 1);
  EXPECT_GT(rate, 500);
}

}  // namespace
}  // namespace latchkey
