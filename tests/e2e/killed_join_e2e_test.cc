// latchkey-join, killed at each of its system calls that leave a trace, by
// strace: its next run joins, and the cluster certified one machine once.

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "tests/e2e/join_test.h"
#include "tests/testing/left_out.h"

namespace latchkey_testing {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class KilledJoinE2eTest : public JoinTest {
 protected:
  void SetUp() override {
    // Containers may forbid to trace.
    if (RunProgram({"strace", "-o", "/dev/null", "true"}, {}).exit_code != 0) {
      LATCHKEY_LEAVE_OUT("strace is not there, or may not trace");
    }
    JoinTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    broker_ = StartBroker();
  }

  // Runs latchkey-join, killed as a thread of it enters `syscall` for the `nth`
  // time. True if it came to that.
  static bool JoinAndDieAt(const Machine& machine, const std::string& syscall,
                           int nth) {
    const ProgramResult result = RunProgram(
        {"strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + syscall,
         "-e", fmt::format("inject={}:signal=SIGKILL:when={}", syscall, nth),
         BuiltProgram("latchkey-join"), "--config",
         machine.dir().File("join.yaml")},
        {});
    return result.exit_code != 0;
  }

  std::vector<std::string> RequestsOf(const std::string& token_id) {
    std::vector<std::string> names;
    const auto csrs =
        Admin().List<latchkey::kubernetes::CertificateSigningRequestList>({});
    EXPECT_THAT(csrs, IsOk());
    for (const Csr& csr : csrs->items()) {
      if (csr.spec().username() == "system:bootstrap:" + token_id) {
        names.push_back(csr.metadata().name());
      }
    }
    return names;
  }

  // What a killed run left in the machine's folder and the next one did not
  // clear away: temporary files, and the key.
  static std::vector<std::string> LeftoversOf(const Machine& machine) {
    std::vector<std::string> left;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(machine.dir().path())) {
      const std::string name = entry.path().filename().string();
      if (name.rfind(".latchkey-tmp-", 0) == 0 || name == "latchkey-join.key") {
        left.push_back(entry.path().string());
      }
    }
    return left;
  }

  std::unique_ptr<BrokerProcess> broker_;
};

TEST_F(KilledJoinE2eTest, KilledAtAnySystemCallTheNextRunJoins) {
  // Those that write files, and those that send: all that anybody else can see
  // of a run lies between two of these.
  constexpr int kMostCalls = 40;
  std::map<std::string, int> kills;
  for (const char* syscall : {"mkdir", "fchmod", "fsync", "rename", "symlink",
                              "unlink", "sendmsg", "sendto"}) {
    for (int nth = 1; nth <= kMostCalls; ++nth) {
      SCOPED_TRACE(fmt::format("{} {}", syscall, nth));
      const std::string node = fmt::format("worker-{}-{}", syscall, nth);
      const std::string ticket = IssueTicket(*broker_, node);
      Machine machine(node);
      machine.UseTicket(pki(), broker_->node_endpoint(), ticket);
      const bool killed = JoinAndDieAt(machine, syscall, nth);

      const ProgramResult joined = machine.Join();
      ASSERT_EQ(joined.exit_code, 0) << joined.err;
      EXPECT_NE(ReadFile(machine.current_pem()).find("PRIVATE KEY"),
                std::string::npos);
      EXPECT_THAT(RequestsOf(IdOf(ticket)), SizeIs(1));
      EXPECT_THAT(LeftoversOf(machine), IsEmpty());
      if (!killed) break;
      ++kills[syscall];
    }
  }
  // Enough of them to be a test: the program really makes these calls.
  for (const auto& [syscall, count] : kills) {
    RecordProperty(syscall, count);
  }
  EXPECT_GE(kills["fsync"], 8);
  EXPECT_GE(kills["rename"], 4);
  EXPECT_GE(kills["symlink"], 1);
  EXPECT_GE(kills["unlink"], 1);
  EXPECT_GE(kills["sendmsg"] + kills["sendto"], 1);
}

}  // namespace
}  // namespace latchkey_testing
