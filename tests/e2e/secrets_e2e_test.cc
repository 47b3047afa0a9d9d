// Where secrets must not be: logs at the finest level, errors, argument
// vectors, environments, core dumps. The very bytes are searched for.

#include <signal.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "tests/e2e/join_test.h"
#include "tests/testing/http_get.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using latchkey::TokenState;

class SecretsE2eTest : public JoinTest {
 protected:
  // What anyone on the machine may read of a process.
  static std::string PublicSideOf(pid_t pid) {
    return ReadFile(fmt::format("/proc/{}/cmdline", pid)) +
           ReadFile(fmt::format("/proc/{}/environ", pid)) +
           ReadFile(fmt::format("/proc/{}/comm", pid));
  }
  static std::string CoreLimitOf(pid_t pid) {
    std::istringstream limits(ReadFile(fmt::format("/proc/{}/limits", pid)));
    for (std::string line; std::getline(limits, line);) {
      if (line.starts_with("Max core file size")) return line;
    }
    return "";
  }
  // The lines of base64 in a PEM private key.
  static std::vector<std::string> KeyLines(const std::string& pem) {
    std::vector<std::string> lines;
    std::istringstream text(pem.substr(pem.find("PRIVATE KEY")));
    for (std::string line; std::getline(text, line);) {
      if (line.size() > 20 && line.find(' ') == std::string::npos) {
        lines.push_back(line);
      }
    }
    return lines;
  }
};

TEST_F(SecretsE2eTest, NoSecretIsWhereOthersMayLook) {
  const TempDir audit;
  const auto broker = StartBroker(
      {.more_config = fmt::format("audit:\n  file: {}\n"
                                  "metrics:\n  listen: 127.0.0.1:0\n",
                                  audit.File("audit.log")),
       .log_level = "debug"});
  const std::string ticket = IssueTicket(*broker, "worker-secret");
  Machine machine("worker-secret");
  machine.UseTicket(pki(), broker->node_endpoint(), ticket);
  SearchLater(machine.dir().File("join.log"));
  // Without the signer the machine stands still with all its secrets in hand.
  cluster().Hold("kube-controller-manager");
  ASSERT_THAT(cluster().Kill("kube-controller-manager", SIGKILL), IsOk());
  auto join = machine.StartJoin();
  ASSERT_THAT(join, IsOk());
  ASSERT_TRUE(AwaitState(IdOf(ticket), TokenState::kReserved));

  const std::string token_secret(Record(IdOf(ticket))->record.secret.Reveal());
  std::vector<std::string> secrets = {ticket.substr(11, 32), token_secret};
  const auto key_lines =
      KeyLines(ReadFile(machine.dir().File("pki/latchkey-join.key")));
  ASSERT_GE(key_lines.size(), 2U);
  secrets.insert(secrets.end(), key_lines.begin(), key_lines.end());
  for (const std::string& secret : secrets) {
    KeepSecret(secret);
    for (const pid_t pid : {broker->pid(), (*join)->pid()}) {
      EXPECT_EQ(PublicSideOf(pid).find(secret), std::string::npos);
    }
  }
  for (const pid_t pid : {broker->pid(), (*join)->pid()}) {
    EXPECT_THAT(CoreLimitOf(pid),
                ::testing::MatchesRegex("Max core file size +0 +0 +bytes *"));
  }

  cluster().Release("kube-controller-manager");
  EXPECT_EQ((*join)->AwaitExit(absl::Seconds(90)), 0);
  // Errors too: of a thief, of a second run with the spent ticket.
  ASSERT_TRUE(AwaitState(IdOf(ticket), TokenState::kSpent));
  Machine thief("worker-secret");
  thief.UseTicket(pki(), broker->node_endpoint(), ticket);
  const ProgramResult refused = thief.Join();
  EXPECT_EQ(refused.exit_code, 3);
  const std::string recorded = ReadFile(audit.File("audit.log"));
  const std::string metrics = HttpGet(broker->metrics_port(), "/metrics");
  EXPECT_THAT(recorded, ::testing::HasSubstr("worker-secret"));
  EXPECT_THAT(metrics, ::testing::HasSubstr("latchkey_csrs_total"));
  for (const std::string& secret : secrets) {
    EXPECT_EQ((refused.out + refused.err).find(secret), std::string::npos);
    EXPECT_EQ(recorded.find(secret), std::string::npos);
    EXPECT_EQ(metrics.find(secret), std::string::npos);
  }
}

TEST_F(SecretsE2eTest, AMachinesFilesAreItsOwn) {
  const auto broker = StartBroker();
  Machine machine("worker-files");
  machine.UseTicket(pki(), broker->node_endpoint(),
                    IssueTicket(*broker, "worker-files"));
  ASSERT_EQ(machine.Join().exit_code, 0);
  namespace fs = std::filesystem;
  const fs::path current = machine.current_pem();
  ASSERT_TRUE(fs::is_symlink(current));
  EXPECT_TRUE(fs::read_symlink(current).is_absolute());
  for (const fs::path& file :
       {fs::canonical(current), fs::path(machine.kubeconfig())}) {
    EXPECT_EQ(fs::status(file).permissions(),
              fs::perms::owner_read | fs::perms::owner_write)
        << file;
  }
  EXPECT_THAT(ReadFile(current),
              ::testing::AllOf(::testing::HasSubstr("BEGIN CERTIFICATE"),
                               ::testing::HasSubstr("BEGIN EC PRIVATE KEY")));
}

}  // namespace
}  // namespace latchkey_testing
