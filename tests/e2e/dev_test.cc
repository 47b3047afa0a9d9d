// latchkeyd dev and the demo as a newcomer starts them: no cluster, no root.

#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/e2e/broker_process.h"
#include "tests/e2e/cluster_client.h"
#include "tests/testing/child_process.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DevTest : public ::testing::Test {
 protected:
  // `latchkeyd dev` over the folder, and any free ports.
  void Start(std::vector<std::string> more = {}) {
    std::vector<std::string> command = {
        "setpriv",    "--pdeathsig", "KILL",  BuiltProgram("latchkeyd"),
        "dev",        "--data-dir",  folder_, "--listen",
        "127.0.0.1:0"};
    command.insert(command.end(), more.begin(), more.end());
    auto child = ChildProcess::Start(
        command,
        {.stdout_path = dir_.File("guide"), .stderr_path = dir_.File("log")});
    ASSERT_THAT(child, IsOk());
    latchkeyd_ = *std::move(child);
    ASSERT_TRUE(WaitUntil([this] {
      return Guide().find("\nReady") != std::string::npos;
    })) << ReadFile(dir_.File("log"));
  }
  void TearDown() override {
    if (latchkeyd_ != nullptr) Stop(SIGKILL);
  }
  void Stop(int signal) {
    latchkeyd_->Signal(signal);
    EXPECT_TRUE(latchkeyd_->AwaitExit(absl::Seconds(20)).has_value());
    latchkeyd_.reset();
    std::filesystem::remove(dir_.File("guide"));
  }

  std::string Site() const { return dir_.File("site"); }
  std::string Guide() const {
    return std::filesystem::exists(dir_.File("guide"))
               ? ReadFile(dir_.File("guide"))
               : "";
  }
  ProgramResult Issue(const std::string& node) {
    return RunProgram(
        {BuiltProgram("latchkeyctl"), "--config", Site() + "/latchkeyctl.yaml",
         "issue", "--node", node, "--out", Site() + "/ticket"},
        {});
  }
  static ProgramResult Join(const std::string& config) {
    return RunProgram({BuiltProgram("latchkey-join"), "--config", config}, {});
  }
  // join.yaml for another folder, and the user of what came of it.
  std::string JoinConfigFor(const std::string& machine) {
    std::string text = ReadFile(Site() + "/join.yaml");
    for (size_t at = 0;
         (at = text.find("/worker-1/", at)) != std::string::npos;) {
      text.replace(at, 10, "/" + machine + "/");
    }
    return dir_.Write(machine + ".yaml", text);
  }
  static std::string WhoIs(const std::string& kubeconfig) {
    const auto client = ClientOfKubeconfig(kubeconfig);
    if (client == nullptr) return "nobody: the kubeconfig is not usable";
    const auto who = client->Create(latchkey::kubernetes::SelfSubjectReview());
    return who.ok() ? who->status().user_info().username()
                    : who.status().ToString();
  }

  TempDir dir_;
  std::string folder_ = Site();
  std::unique_ptr<ChildProcess> latchkeyd_;
};

TEST_F(DevTest, WhatItPrintsWorks) {
  Start();
  EXPECT_THAT(
      Guide(),
      AllOf(HasSubstr("Not for production"), HasSubstr("https://127.0.0.1:"),
            HasSubstr(BuiltProgram("latchkeyctl") + " --config " + Site()),
            HasSubstr(BuiltProgram("latchkey-join") + " --config " + Site())));
  const ProgramResult issued = Issue("worker-1");
  ASSERT_EQ(issued.exit_code, 0) << issued.err;
  const ProgramResult joined = Join(Site() + "/join.yaml");
  ASSERT_EQ(joined.exit_code, 0) << joined.err;
  EXPECT_EQ(WhoIs(Site() + "/worker-1/kubelet.conf"), "system:node:worker-1");

  const ProgramResult thief = Join(JoinConfigFor("thief"));
  EXPECT_EQ(thief.exit_code, 3) << thief.err;
  EXPECT_THAT(thief.err, AnyOf(HasSubstr("TICKET_ALREADY_CLAIMED"),
                               HasSubstr("TOKEN_SPENT")));
  Stop(SIGTERM);
}

TEST_F(DevTest, TheDoctorFindsNothingWrongWithIt) {
  Start();
  const ProgramResult doctor =
      RunProgram({BuiltProgram("latchkeyctl"), "doctor", "--kubeconfig",
                  Site() + "/admin.kubeconfig", "--active"},
                 {});
  EXPECT_EQ(doctor.exit_code, 0) << doctor.out << doctor.err;
  EXPECT_THAT(doctor.out, AllOf(HasSubstr("0 errors, 0 warnings"),
                                ::testing::Not(HasSubstr("not-checked"))));
}

TEST_F(DevTest, WhatJoinedIsStillKnownAfterAKill) {
  Start();
  ASSERT_EQ(Issue("worker-1").exit_code, 0);
  ASSERT_EQ(Join(Site() + "/join.yaml").exit_code, 0);
  const std::string kubeconfig = Site() + "/admin.kubeconfig";
  const std::string before = ReadFile(Site() + "/ca.crt");
  Stop(SIGKILL);

  Start();
  EXPECT_EQ(ReadFile(Site() + "/ca.crt"), before);
  EXPECT_EQ(WhoIs(kubeconfig), "kubernetes-admin");
  const ProgramResult thief = Join(JoinConfigFor("thief"));
  EXPECT_EQ(thief.exit_code, 3) << thief.err;
}

TEST_F(DevTest, ItsFolderAndItsKeysAreTheOwnersAlone) {
  Start();
  const auto others_may = [](const std::filesystem::path& path) {
    struct stat status = {};
    EXPECT_EQ(stat(path.c_str(), &status), 0) << path;
    return status.st_mode & 0077;
  };
  EXPECT_EQ(others_may(Site()), 0U);
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(Site())) {
    if (entry.path().extension() == ".crt") continue;
    EXPECT_EQ(others_may(entry.path()), 0U) << entry.path();
  }
}

TEST_F(DevTest, ATakenPortAndABadAddressAreOneLineEach) {
  Start();
  const std::string guide = Guide();
  const size_t at = guide.find("https://") + 8;
  const std::string taken = guide.substr(at, guide.find('\n', at) - at);
  const ProgramResult second =
      RunProgram({BuiltProgram("latchkeyd"), "dev", "--data-dir",
                  dir_.File("other"), "--listen", taken},
                 {});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_THAT(second.err, HasSubstr(taken.substr(taken.find(':') + 1)));
  EXPECT_EQ(std::ranges::count(second.err, '\n'), 1) << second.err;

  for (const std::string bad :
       {"localhost:1", "0.0.0.0", "127.0.0.1:65534", "[::]:0", "[0::0]",
        "[::ffff:127.0.0.1]", "1.2.3.4.5"}) {
    const ProgramResult refused =
        RunProgram({BuiltProgram("latchkeyd"), "dev", "--listen", bad}, {});
    EXPECT_EQ(refused.exit_code, 2) << bad;
    EXPECT_THAT(refused.err, HasSubstr("--listen " + bad));
  }
}

TEST_F(DevTest, TwoDoNotShareAFolder) {
  Start();
  const ProgramResult second =
      RunProgram({BuiltProgram("latchkeyd"), "dev", "--data-dir", Site(),
                  "--listen", "127.0.0.1:0"},
                 {});
  EXPECT_NE(second.exit_code, 0);
  EXPECT_THAT(second.err, HasSubstr(Site()));
}

TEST_F(DevTest, AFolderThatOthersMayEnterIsLeftAlone) {
  const std::string open = dir_.File("open");
  std::filesystem::create_directory(open);
  std::filesystem::permissions(open, std::filesystem::perms(0755));
  std::filesystem::create_directory_symlink(open, dir_.File("link"));
  dir_.Write("file", "");
  for (const std::string& folder :
       {open, dir_.File("link"), dir_.File("file"), dir_.File("file/under")}) {
    const ProgramResult refused =
        RunProgram({BuiltProgram("latchkeyd"), "dev", "--data-dir", folder,
                    "--listen", "127.0.0.1:0"},
                   {});
    EXPECT_EQ(refused.exit_code, 2) << folder << refused.err;
    EXPECT_THAT(refused.err, HasSubstr(dir_.path().string()));
  }
  EXPECT_EQ(std::filesystem::status(open).permissions(),
            std::filesystem::perms(0755));
  EXPECT_TRUE(std::filesystem::is_empty(open));
}

TEST_F(DevTest, AFolderMayBeNamedWithASlashAtItsEnd) {
  folder_ = Site() + "/";
  Start();
  const auto mode = std::filesystem::status(Site()).permissions();
  EXPECT_EQ(mode, std::filesystem::perms(0700));
}

TEST_F(DevTest, ADemoThatCannotStartSaysWhy) {
  const ProgramResult demo = RunProgram(
      {std::string(LATCHKEY_SOURCE_DIR) + "/demo/demo.sh", "/bin/nowhere"},
      {{"TMPDIR", dir_.path().string()}}, absl::Minutes(2));
  EXPECT_NE(demo.exit_code, 0);
  EXPECT_THAT(demo.err, HasSubstr("latchkey: demo: "));
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));
}

TEST_F(DevTest, WithoutAFolderItLeavesNothingBehind) {
  auto child = ChildProcess::Start(
      {BuiltProgram("latchkeyd"), "dev", "--listen", "127.0.0.1:0"},
      {.environment = {{"TMPDIR", dir_.path().string()}},
       .stdout_path = dir_.File("guide"),
       .stderr_path = dir_.File("log")});
  ASSERT_THAT(child, IsOk());
  ASSERT_TRUE(WaitUntil([this] {
    return Guide().find("\nReady") != std::string::npos;
  })) << ReadFile(dir_.File("log"));
  // As when its terminal closes.
  (*child)->Signal(SIGHUP);
  EXPECT_EQ((*child)->AwaitExit(absl::Seconds(20)), 0);
  for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
    EXPECT_THAT(entry.path().filename().string(), AnyOf("guide", "log"));
  }
}

TEST_F(DevTest, TheDemoTellsItsStoryAndCleansUp) {
  const ProgramResult demo = RunProgram(
      {std::string(LATCHKEY_SOURCE_DIR) + "/demo/demo.sh", LATCHKEY_BIN_DIR},
      {{"TMPDIR", dir_.path().string()}}, absl::Minutes(2));
  ASSERT_EQ(demo.exit_code, 0) << demo.out << demo.err;
  EXPECT_THAT(demo.out,
              AllOf(HasSubstr("O = system:nodes, CN = "
                              "system:node:worker-1"),
                    HasSubstr("SCOPE_NODE_NAME"), HasSubstr("token issued"),
                    HasSubstr("ticket claimed"), HasSubstr("csr approved"),
                    HasSubstr("token spent"), HasSubstr("What to try next")));
  EXPECT_THAT(demo.err, IsEmpty());
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));
}

}  // namespace
}  // namespace latchkey_testing
