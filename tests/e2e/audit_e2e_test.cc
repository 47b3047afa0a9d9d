// The audit of whole joins, proved by latchkeyctl, and what a full disk does.

#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "core/reasons.h"
#include "tests/e2e/join_test.h"
#include "tests/testing/http_get.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using latchkey::TokenState;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class AuditE2eTest : public JoinTest {
 protected:
  std::unique_ptr<BrokerProcess> StartAudited() {
    return StartBroker(
        {.more_config = fmt::format("audit:\n  file: {}\n"
                                    "metrics:\n  listen: 127.0.0.1:0\n",
                                    file_)});
  }
  void JoinAsWorker(const BrokerProcess& broker, const std::string& node) {
    const std::string ticket = IssueTicket(broker, node);
    Machine machine(node);
    machine.UseTicket(pki(), broker.node_endpoint(), ticket);
    ASSERT_EQ(machine.Join().exit_code, 0);
    ASSERT_TRUE(AwaitState(IdOf(ticket), TokenState::kSpent));
  }
  static ProgramResult Verify(const std::string& file) {
    return RunProgram({BuiltProgram("latchkeyctl"), "audit", "verify", file},
                      {});
  }
  std::vector<std::string> Lines() const {
    std::vector<std::string> lines;
    std::istringstream text(ReadFile(file_));
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }
  // The file with other lines.
  std::string Altered(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return dir_.Write("altered.log", text);
  }

  TempDir dir_;
  const std::string file_ = dir_.File("audit.log");
};

TEST_F(AuditE2eTest, AWholeJoinIsProvedOverAKill) {
  auto broker = StartAudited();
  JoinAsWorker(*broker, "worker-audit-1");
  broker->Stop(SIGKILL);
  broker = StartAudited();
  JoinAsWorker(*broker, "worker-audit-2");
  EXPECT_THAT(HttpGet(broker->metrics_port(), "/metrics"),
              AllOf(HasSubstr("latchkey_rpcs_total{code=\"OK\",rpc=\"claim\"}"),
                    HasSubstr("latchkey_csrs_total{decision=\"approved\"} 1"),
                    HasSubstr("latchkey_certificate_seconds_count 1"),
                    ::testing::Not(HasSubstr("worker-audit"))));
  EXPECT_THAT(HttpGet(broker->metrics_port(), "/readyz"),
              StartsWith("HTTP/1.1 200"));
  broker->Stop(SIGTERM);

  const ProgramResult proven = Verify(file_);
  EXPECT_EQ(proven.exit_code, 0) << proven.err;
  EXPECT_THAT(proven.out, AllOf(StartsWith("proven: "),
                                HasSubstr("2 CSRs of 2 tokens approved")));
  const std::string text = ReadFile(file_);
  for (const char* action : {"IssueToken", "ClaimToken", "token.reserve",
                             "csr.approve", "token.spend"}) {
    EXPECT_THAT(text, HasSubstr(fmt::format("\"action\":\"{}\"", action)));
  }

  const std::vector<std::string> lines = Lines();
  ASSERT_GE(lines.size(), 10U);
  std::vector<std::string> missing = lines;
  missing.erase(missing.begin() + 4);
  std::vector<std::string> moved = lines;
  std::swap(moved[3], moved[4]);
  std::vector<std::string> tampered = lines;
  tampered[3].replace(tampered[3].find("allowed"), 7, "failed");
  for (const auto& altered : {missing, moved, tampered}) {
    const ProgramResult found = Verify(Altered(altered));
    EXPECT_EQ(found.exit_code, 3);
    EXPECT_THAT(found.err, ::testing::ContainsRegex("altered.log:[45]: "));
  }
  EXPECT_EQ(Verify(dir_.File("none")).exit_code, 1);
}

TEST_F(AuditE2eTest, AFullDiskRefusesAndRecoversWithoutARestart) {
  const auto broker = StartAudited();
  const std::string ticket = IssueTicket(*broker, "worker-full");
  const auto limit = [&](rlim_t bytes) {
    const rlimit size = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
    ASSERT_EQ(prlimit(broker->pid(), RLIMIT_FSIZE, &size, nullptr), 0);
  };
  limit(std::filesystem::file_size(file_));
  const auto channel = ProvisionerChannel(*broker);
  EXPECT_THAT(Issue(channel, RequestFor("worker-full-2")),
              ReasonIs(latchkey::reason::kAuditUnavailable));
  EXPECT_THAT(Claim(NodeChannel(*broker), ticket, "worker-full", NewKey()),
              ReasonIs(latchkey::reason::kAuditUnavailable));
  EXPECT_EQ(Record(IdOf(ticket))->record.state, TokenState::kIssued)
      << "what was not recorded was done";
  EXPECT_TRUE(WaitUntil([&] {
    return HttpGet(broker->metrics_port(), "/readyz")
        .starts_with("HTTP/1.1 503");
  }));
  limit(RLIM_INFINITY);
  EXPECT_TRUE(WaitUntil([&] {
    return HttpGet(broker->metrics_port(), "/readyz")
        .starts_with("HTTP/1.1 200");
  }));
  EXPECT_THAT(Issue(channel, RequestFor("worker-full-2")), IsOk());
  broker->Stop(SIGTERM);
  EXPECT_EQ(Verify(file_).exit_code, 0);
  EXPECT_THAT(ReadFile(file_), HasSubstr("audit.resume"));
}

}  // namespace
}  // namespace latchkey_testing
