// A real kubelet, with its own bootstrap code, joins with a direct token.

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_replace.h>
#include <fmt/format.h>

#include "core/reasons.h"
#include "tests/e2e/join_test.h"
#include "tests/testing/free_port.h"
#include "tests/testing/left_out.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using latchkey::TokenState;
using ::testing::HasSubstr;

// A file of tests/controlplane, with its places filled in.
std::string Filled(
    const std::string& name,
    const std::vector<std::pair<std::string, std::string>>& places) {
  const std::filesystem::path folder =
      std::string(LATCHKEY_SOURCE_DIR) + "/tests/controlplane";
  return absl::StrReplaceAll(ReadFile(folder / name), places);
}

constexpr char kBootstrapKubeconfig[] = R"(apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "{server}", certificate-authority: "{ca}"}}}}]
users: [{{name: u, user: {{token: "{token}"}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
)";

// A machine with a kubelet, in a folder.
class KubeletMachine {
 public:
  KubeletMachine(const std::string& node_name, const std::string& server,
                 const std::string& ca_file, const std::string& token)
      : node_name_(node_name) {
    dir_.Write(
        "kubelet.yaml",
        Filled("kubelet.yaml.in",
               {{"@dir@", path()}, {"@port@", std::to_string(FreePort())}}));
    dir_.Write("containerd.toml",
               Filled("containerd.toml.in", {{"@dir@", path()}}));
    dir_.Write("bootstrap.kubeconfig",
               fmt::format(kBootstrapKubeconfig, fmt::arg("server", server),
                           fmt::arg("ca", ca_file), fmt::arg("token", token)));
  }

  absl::StatusOr<std::unique_ptr<ChildProcess>> StartKubelet() const {
    return Start(
        {std::string(LATCHKEY_SOURCE_DIR) + "/tests/controlplane/contained.sh",
         ControlPlane::ProgramPath(), "kubelet",
         "--bootstrap-kubeconfig=" + path() + "/bootstrap.kubeconfig",
         "--kubeconfig=" + path() + "/kubeconfig",
         "--cert-dir=" + path() + "/pki", "--root-dir=" + path() + "/root",
         "--hostname-override=" + node_name_,
         "--config=" + path() + "/kubelet.yaml"});
  }
  absl::StatusOr<std::unique_ptr<ChildProcess>> StartContainerd() const {
    return Start({"containerd", "--config", path() + "/containerd.toml"});
  }
  bool HasCredential() const {
    return std::filesystem::exists(path() + "/pki/kubelet-client-current.pem");
  }
  bool HasContainerd() const {
    return std::filesystem::exists(path() + "/containerd/containerd.sock");
  }
  std::string kubeconfig() const { return path() + "/kubeconfig"; }
  std::string Log() const { return ReadFile(dir_.File("log")); }

 private:
  std::string path() const { return dir_.path().string(); }
  absl::StatusOr<std::unique_ptr<ChildProcess>> Start(
      std::vector<std::string> command) const {
    command.insert(command.begin(), {"setpriv", "--pdeathsig", "KILL"});
    return ChildProcess::Start(command, {.stdout_path = dir_.File("log"),
                                         .stderr_path = dir_.File("log")});
  }

  const std::string node_name_;
  TempDir dir_;
};

class KubeletE2eTest : public JoinTest {
 protected:
  void SetUp() override {
    if (geteuid() != 0) {
      LATCHKEY_LEAVE_OUT("a kubelet needs root");
    }
    JoinTest::SetUp();
  }
};

TEST_F(KubeletE2eTest, AKubeletGetsItsCertificateOnceWithADirectToken) {
  // Long enough for the token to be alive when the second kubelet comes.
  const auto broker = StartBroker({.fetch_grace = "5m"});
  const std::string token = IssueDirect(*broker, "worker-kubelet");
  const KubeletMachine machine("worker-kubelet", cluster().url(),
                               cluster_ca_file(), token);
  auto kubelet = machine.StartKubelet();
  ASSERT_THAT(kubelet, IsOk());
  ASSERT_TRUE(
      WaitUntil([&] { return machine.HasCredential(); }, absl::Seconds(60)))
      << machine.Log();
  // Without a container runtime it gives up after that.
  EXPECT_TRUE((*kubelet)->AwaitExit(absl::Seconds(60)).has_value());
  const ProgramResult who = cluster().Run(
      {"kubectl", "--kubeconfig", machine.kubeconfig(), "auth", "whoami"});
  EXPECT_THAT(who.out, HasSubstr("system:node:worker-kubelet")) << who.err;
  EXPECT_EQ(Record(IdOf(token))->record.state, TokenState::kReserved);

  // Another machine with the same token: stopped, and told why.
  const KubeletMachine thief("worker-kubelet", cluster().url(),
                             cluster_ca_file(), token);
  auto second = thief.StartKubelet();
  ASSERT_THAT(second, IsOk());
  ASSERT_TRUE((*second)->AwaitExit(absl::Seconds(60)).has_value())
      << thief.Log();
  EXPECT_FALSE(thief.HasCredential());
  EXPECT_THAT(thief.Log(),
              HasSubstr(std::string(latchkey::reason::kTokenReserved)));
}

TEST_F(KubeletE2eTest, WithAContainerRuntimeItsNodeAppears) {
  const auto broker = StartBroker();
  const std::string token = IssueDirect(*broker, "worker-node");
  const KubeletMachine machine("worker-node", cluster().url(),
                               cluster_ca_file(), token);
  auto containerd = machine.StartContainerd();
  ASSERT_THAT(containerd, IsOk());
  ASSERT_TRUE(WaitUntil([&] { return machine.HasContainerd(); }))
      << machine.Log();
  auto kubelet = machine.StartKubelet();
  ASSERT_THAT(kubelet, IsOk());
  EXPECT_TRUE(WaitUntil(
      [&] {
        return Admin()
            .Get<latchkey::kubernetes::Node>({"", "worker-node"})
            .ok();
      },
      absl::Seconds(60)))
      << machine.Log();
  EXPECT_TRUE(AwaitState(IdOf(token), TokenState::kSpent))
      << "seeing the Node ends the grace";
  (*kubelet)->Signal(SIGTERM);
  (*kubelet)->AwaitExit(absl::Seconds(30));
  (*containerd)->Signal(SIGTERM);
}

}  // namespace
}  // namespace latchkey_testing
