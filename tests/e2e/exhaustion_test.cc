// Disks that are full or read-only or fail, and descriptors, memory and whole
// writes that are not to be had: against `latchkeyd dev`, with the programs as
// they are. What fails says why, spends nothing, and goes on when it can.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <netinet/in.h>

#include "clients/process/process_hardening.h"
#include "server/owned_fd.h"
#include "tests/e2e/dev_process.h"
#include "tests/e2e/join_test.h"
#include "tests/testing/http_get.h"
#include "tests/testing/ipv4_address.h"
#include "tests/testing/left_out.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using latchkey::TokenState;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::Not;
using ::testing::SizeIs;

// A disk of its own at `folder`, which must be there, for what is run in it.
class SmallDisk {
 public:
  SmallDisk(const std::string& folder, const std::string& size)
      : folder_(folder) {
    auto space = ChildProcess::Start(
        {"unshare", "--mount", "sh", "-c",
         fmt::format(
             "mount -t tmpfs -o mode=755,size={} none {} && touch {}.up "
             "&& exec cat",
             size, folder, folder)});
    if (!space.ok()) return;
    space_ = *std::move(space);
    WaitUntil([&] {
      is_there_ = std::filesystem::exists(folder + ".up");
      return is_there_ || space_->AwaitExit(absl::ZeroDuration()).has_value();
    });
    std::filesystem::remove(folder + ".up");
  }

  // False where one may not mount.
  bool IsThere() const { return is_there_; }
  ProgramResult Run(std::vector<std::string> command) const {
    command.insert(command.begin(), {"nsenter", "--mount", "--target",
                                     std::to_string(space_->pid()), "--"});
    return RunProgram(command, {});
  }
  ProgramResult Remount(const std::string& options) const {
    return Run({"mount", "-o", "remount," + options, folder_});
  }

 private:
  const std::string folder_;
  std::unique_ptr<ChildProcess> space_;
  bool is_there_ = false;
};

// While it lives, system calls of a running process fail.
class FailingCalls {
 public:
  FailingCalls(pid_t pid, const std::string& injection,
               const std::vector<std::string>& more = {}) {
    std::vector<std::string> command = {
        "strace", "-f",
        "-p",     std::to_string(pid),
        "-e",     "trace=" + injection.substr(0, injection.find(':')),
        "-e",     "inject=" + injection};
    command.insert(command.end(), more.begin(), more.end());
    auto tracer =
        ChildProcess::Start(command, {.environment = {},
                                      .stdout_path = dir_.File("out"),
                                      .stderr_path = dir_.File("err")});
    if (!tracer.ok()) return;
    tracer_ = *std::move(tracer);
    WaitUntil([&] {
      works_ = ReadFile(dir_.File("err")).find("attached") != std::string::npos;
      return works_ || tracer_->AwaitExit(absl::ZeroDuration()).has_value();
    });
  }
  FailingCalls(const FailingCalls&) = delete;
  FailingCalls& operator=(const FailingCalls&) = delete;
  ~FailingCalls() {
    if (tracer_ == nullptr) return;
    tracer_->Signal(SIGINT);  // it lets go
    tracer_->AwaitExit(absl::Seconds(20));
  }
  // False where one may not trace.
  bool Works() const { return works_; }

 private:
  TempDir dir_;
  std::unique_ptr<ChildProcess> tracer_;
  bool works_ = false;
};

class ExhaustionTest : public ::testing::Test {
 protected:
  // A machine with a ticket, and its folder for certificates.
  struct Newcomer {
    explicit Newcomer(const std::string& name) : machine(name) {}
    Machine machine;
    std::string ticket;
    std::string pki() const { return machine.dir().File("pki"); }
  };
  std::unique_ptr<Newcomer> NewMachine(const std::string& name) {
    auto newcomer = std::make_unique<Newcomer>(name);
    newcomer->ticket = dev_.Ticket(name);
    EXPECT_NE(newcomer->ticket, "");
    newcomer->machine.UseTicket(dev_.Path("ca.crt"), dev_.node_endpoint(),
                                newcomer->ticket);
    std::filesystem::create_directory(newcomer->pki());
    return newcomer;
  }
  static std::vector<std::string> JoinCommand(const Newcomer& newcomer) {
    return {BuiltProgram("latchkey-join"), "--config",
            newcomer.machine.dir().File("join.yaml")};
  }
  TokenState StateOf(const Newcomer& newcomer) {
    const auto token = dev_.Record(IdOf(newcomer.ticket));
    EXPECT_THAT(token, IsOk());
    return token.ok() ? token->record.state : TokenState::kRevoked;
  }
  // It joins now, and its token bought one certificate.
  void ExpectJoins(const Newcomer& newcomer, const ProgramResult& joined) {
    EXPECT_EQ(joined.exit_code, 0) << joined.err;
    const auto requests = dev_.RequestsOf(IdOf(newcomer.ticket));
    EXPECT_THAT(requests, SizeIs(1));
    for (const Csr& request : requests) {
      EXPECT_NE(request.status().certificate(), "");
    }
  }

  DevProcess dev_;
};

TEST_F(ExhaustionTest, AFullDiskIsFoundBeforeTheTicketIsUsed) {
  const auto newcomer = NewMachine("worker-full");
  const SmallDisk disk(newcomer->pki(), "8k");
  if (!disk.IsThere()) LATCHKEY_LEAVE_OUT("this place does not let one mount");
  disk.Run({"sh", "-c", fmt::format("yes > {}/ballast", newcomer->pki())});
  const ProgramResult full = disk.Run(JoinCommand(*newcomer));
  EXPECT_EQ(full.exit_code, 1) << full.err;
  EXPECT_THAT(full.err, AllOf(HasSubstr("No space left on device"),
                              HasSubstr(newcomer->pki())));
  EXPECT_EQ(StateOf(*newcomer), TokenState::kIssued);

  disk.Run({"rm", newcomer->pki() + "/ballast"});
  ExpectJoins(*newcomer, disk.Run(JoinCommand(*newcomer)));
}

TEST_F(ExhaustionTest, ADiskThatFillsUpInAJoinCostsNoSecondCertificate) {
  const auto newcomer = NewMachine("worker-fills");
  // Room for the key, and not for the certificate.
  const SmallDisk disk(newcomer->pki(), "4k");
  if (!disk.IsThere()) LATCHKEY_LEAVE_OUT("this place does not let one mount");
  const ProgramResult full = disk.Run(JoinCommand(*newcomer));
  EXPECT_EQ(full.exit_code, 1) << full.err;
  EXPECT_THAT(full.err, HasSubstr("No space left on device"));

  EXPECT_EQ(disk.Remount("size=64k").exit_code, 0);
  ExpectJoins(*newcomer, disk.Run(JoinCommand(*newcomer)));
}

TEST_F(ExhaustionTest, AReadOnlyDiskIsFoundBeforeTheTicketIsUsed) {
  const auto newcomer = NewMachine("worker-readonly");
  const SmallDisk disk(newcomer->pki(), "64k");
  if (!disk.IsThere()) LATCHKEY_LEAVE_OUT("this place does not let one mount");
  ASSERT_EQ(disk.Remount("ro").exit_code, 0);
  const ProgramResult refused = disk.Run(JoinCommand(*newcomer));
  EXPECT_EQ(refused.exit_code, 1) << refused.err;
  EXPECT_THAT(refused.err, AllOf(HasSubstr("Read-only file system"),
                                 HasSubstr(newcomer->pki())));
  EXPECT_EQ(StateOf(*newcomer), TokenState::kIssued);

  ASSERT_EQ(disk.Remount("rw").exit_code, 0);
  ExpectJoins(*newcomer, disk.Run(JoinCommand(*newcomer)));
}

TEST_F(ExhaustionTest, WhateverCallFailsOnAMachineIsSaidAndTheNextRunJoins) {
  if (RunProgram({"strace", "-o", "/dev/null", "true"}, {}).exit_code != 0) {
    LATCHKEY_LEAVE_OUT("strace is not there, or may not trace");
  }
  struct Case {
    const char* syscall;
    const char* error;
    const char* text;
    int least;  // so many calls there are
  };
  for (const Case& c : {
           Case{"fsync", "EIO", "Input/output error", 8},
           Case{"rename", "ENOSPC", "No space left on device", 4},
           Case{"fchmod", "EPERM", "Operation not permitted", 4},
           Case{"symlink", "EDQUOT", "Disk quota exceeded", 1},
           Case{"unlink", "EROFS", "Read-only file system", 1},
           Case{"flock", "ENOLCK", "No locks available", 1},
           Case{"mkdir", "EROFS", "Read-only file system", 1},
           Case{"openat", "EMFILE", "Too many open files", 4},
       }) {
    int nth = 1;
    for (;; ++nth) {
      SCOPED_TRACE(fmt::format("{} {}", c.syscall, nth));
      const auto newcomer =
          NewMachine(fmt::format("worker-{}-{}", c.syscall, nth));
      if (c.syscall == std::string("mkdir")) {
        std::filesystem::remove(newcomer->pki());
      }
      std::vector<std::string> command = {
          "strace",
          "-f",
          "-qq",
          "-o",
          "/dev/null",
          "-e",
          fmt::format("trace={}", c.syscall),
          "-e",
          fmt::format("inject={}:error={}:when={}", c.syscall, c.error, nth)};
      if (c.syscall == std::string("openat")) {
        // Not what the loader and the libraries open.
        for (const std::string& path :
             {newcomer->machine.dir().path().string(), newcomer->pki(),
              newcomer->pki() + "/latchkey-join.lock",
              newcomer->pki() + "/latchkey-join.key"}) {
          command.insert(command.end(), {"-P", path});
        }
      }
      const auto join = JoinCommand(*newcomer);
      command.insert(command.end(), join.begin(), join.end());
      const ProgramResult failed = RunProgram(command, {});
      if (failed.exit_code != 1) {
        ASSERT_EQ(failed.exit_code, 0) << failed.err;
        break;
      }
      EXPECT_THAT(failed.err,
                  AllOf(HasSubstr(c.text),
                        HasSubstr(newcomer->machine.dir().path().string())));
      ExpectJoins(*newcomer, newcomer->machine.Join());
    }
    EXPECT_GT(nth, c.least) << c.syscall;
  }
}

TEST_F(ExhaustionTest, ShortAndInterruptedReadsAndWritesChangeNothing) {
  const TestPki pki;
  TempDir dir;
  const TempDir marks;
  const std::map<std::string, std::string> preload = {
      {"LD_PRELOAD", LATCHKEY_SHORT_IO},
      {"LATCHKEY_SHORT_IO_MARKS", marks.path().string()}};
  BrokerProcess broker(pki, {.kubeconfig = dev_.Path("broker.kubeconfig"),
                             .more_config = fmt::format("audit: {{file: {}}}\n",
                                                        dir.File("log")),
                             .environment = preload});
  const auto newcomer = NewMachine("worker-short");
  newcomer->machine.UseTicket(pki, broker.node_endpoint(), newcomer->ticket);
  ExpectJoins(*newcomer, RunProgram(JoinCommand(*newcomer), preload));
  broker.Stop(SIGTERM);
  const ProgramResult verified = RunProgram(
      {BuiltProgram("latchkeyctl"), "audit", "verify", dir.File("log")}, {});
  EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
  EXPECT_THAT(ReadFile(dir.File("log")), HasSubstr("ClaimToken"));
  for (const char* program : {"latchkeyd", "latchkey-join"}) {
    for (const char* what : {"read", "write", "interrupted"}) {
      EXPECT_TRUE(std::filesystem::exists(
          marks.File(fmt::format("{}-{}", what, program))))
          << "no " << what << " of " << program;
    }
  }
}

TEST_F(ExhaustionTest,
       AMachineWithTooFewDescriptorsSaysSoBeforeItCallsAnybody) {
  for (const int limit : {8, 16, 63}) {
    SCOPED_TRACE(limit);
    const auto newcomer = NewMachine(fmt::format("worker-files-{}", limit));
    std::vector<std::string> command = {"prlimit",
                                        fmt::format("--nofile={}", limit)};
    const auto join = JoinCommand(*newcomer);
    command.insert(command.end(), join.begin(), join.end());
    const ProgramResult failed = RunProgram(command, {});
    EXPECT_EQ(failed.exit_code, 1) << failed.err;
    EXPECT_THAT(failed.err, HasSubstr("files open"));
    EXPECT_EQ(StateOf(*newcomer), TokenState::kIssued);
    // What it may raise itself, it does.
    command[1] = fmt::format("--nofile={}:1024", limit);
    ExpectJoins(*newcomer, RunProgram(command, {}));
  }
}

// How a program ends that could not have memory.
enum class MemoryEnd { kNone, kSaid, kAborted, kFailed };
MemoryEnd EndOf(int exit_code, const std::string& err) {
  EXPECT_NE(exit_code, -1) << "it hangs: " << err;
  EXPECT_NE(exit_code, 2) << "its configuration is good: " << err;
  EXPECT_NE(exit_code, 3) << "nobody refused it: " << err;
  if (exit_code == 0) return MemoryEnd::kNone;
  if (exit_code == latchkey::kOutOfMemory) {
    EXPECT_THAT(err, HasSubstr(": out of memory"));
    return MemoryEnd::kSaid;
  }
  EXPECT_THAT(err, Not(HasSubstr("bad_alloc")));
  return exit_code == 128 + SIGABRT ? MemoryEnd::kAborted : MemoryEnd::kFailed;
}

TEST_F(ExhaustionTest, AMachineWhoseMemoryRunsOutSaysSoAndJoinsOnItsNextRun) {
  std::map<MemoryEnd, int> ends;
  for (int allocations = 1; ends[MemoryEnd::kNone] == 0;
       allocations += 1 + allocations / 3) {
    SCOPED_TRACE(allocations);
    ASSERT_LT(allocations, 10'000'000);
    const auto newcomer = NewMachine(fmt::format("worker-{}", allocations));
    const ProgramResult result =
        RunProgram(JoinCommand(*newcomer),
                   {{"LD_PRELOAD", LATCHKEY_NO_MEMORY},
                    {"LATCHKEY_ALLOCATIONS", std::to_string(allocations)}});
    ++ends[EndOf(result.exit_code, result.err)];
    ExpectJoins(*newcomer, newcomer->machine.Join());
  }
  EXPECT_GT(ends[MemoryEnd::kSaid], 5);
}

TEST_F(ExhaustionTest, AMachineThatMayNotGrowEndsInTime) {
  int failed = 0;
  // No room for a thread's stack; for some; and for all.
  for (const int megabytes : {4, 20, 40, 1000}) {
    SCOPED_TRACE(megabytes);
    const auto newcomer = NewMachine(fmt::format("worker-mb-{}", megabytes));
    const std::string config =
        ReadFile(newcomer->machine.dir().File("join.yaml"));
    newcomer->machine.dir().Write(
        "join.yaml",
        std::regex_replace(config, std::regex("timeout: 2m"), "timeout: 5s"));
    std::vector<std::string> command = {
        "prlimit", fmt::format("--data={}", megabytes * 1'000'000)};
    const auto join = JoinCommand(*newcomer);
    command.insert(command.end(), join.begin(), join.end());
    const ProgramResult result = RunProgram(command, {});
    if (EndOf(result.exit_code, result.err) != MemoryEnd::kNone) ++failed;
    ExpectJoins(*newcomer, newcomer->machine.Join());
  }
  EXPECT_GE(failed, 2);
}

// A broker of its own beside the one of `latchkeyd dev`, over the same cluster.
class BrokerExhaustionTest : public ExhaustionTest {
 protected:
  void StartBroker(BrokerProcess::Options options = {}) {
    options.kubeconfig = dev_.Path("broker.kubeconfig");
    options.more_config =
        fmt::format("audit: {{file: {}}}\nmetrics: {{listen: 127.0.0.1:0}}\n",
                    dir_.File("audit.log"));
    options.log_level = "info";
    broker_ = nullptr;  // it has the audit log
    broker_ = std::make_unique<BrokerProcess>(pki_, options);
    const IdentityFiles me = pki_.Save("me", pki_.Client(kAutoscaler));
    dir_.Write("ctl.yaml",
               fmt::format(
                   "broker: {{endpoint: \"127.0.0.1:{}\", ca_file: {}}}\n"
                   "identity: {{certificate_file: {}, private_key_file: {}}}\n",
                   broker_->provisioner_port(), pki_.ca_file(), me.certificate,
                   me.private_key));
  }
  ProgramResult Issue(const std::string& node, const std::string& timeout) {
    return RunProgram(
        {BuiltProgram("latchkeyctl"), "--config", dir_.File("ctl.yaml"),
         "issue", "--node", node, "--timeout", timeout},
        {});
  }
  size_t Records() {
    const auto secrets = dev_.Admin().List<latchkey::kubernetes::SecretList>(
        {.name_space = "kube-system",
         .label_selector = "app.kubernetes.io/managed-by=latchkey"});
    EXPECT_THAT(secrets, IsOk());
    return secrets.ok() ? static_cast<size_t>(secrets->items().size()) : 0;
  }

  TestPki pki_;
  TempDir dir_;
  std::unique_ptr<BrokerProcess> broker_;
};

TEST_F(BrokerExhaustionTest, AnAuditDiskThatFailsRefusesUntilItWorksAgain) {
  StartBroker();
  struct Case {
    const char* node;
    const char* injection;
  };
  for (const Case& c : {
           Case{"worker-unsynced", "fdatasync:error=EIO"},
           Case{"worker-unwritten", "write:error=ENOSPC"},
           // As the kernel makes a file system after an error of its own.
           Case{"worker-readonly", "write,fdatasync,ftruncate:error=EROFS"},
           // What is there and must not be is cut off once that is possible.
           Case{"worker-uncut", "fdatasync,ftruncate:error=EIO"},
       }) {
    SCOPED_TRACE(c.injection);
    const auto newcomer = NewMachine(c.node);
    newcomer->machine.UseTicket(pki_, broker_->node_endpoint(),
                                newcomer->ticket);
    const size_t before = Records();
    std::unique_ptr<ChildProcess> join;
    {
      const FailingCalls failing(broker_->pid(), c.injection,
                                 {"-P", dir_.File("audit.log")});
      if (!failing.Works()) LATCHKEY_LEAVE_OUT("strace may not trace");
      for (const char* node : {"worker-nobody", "worker-no-one"}) {
        const ProgramResult refused = Issue(node, "1s");
        EXPECT_EQ(refused.exit_code, 1) << refused.err;
        EXPECT_THAT(refused.err, HasSubstr("audit log cannot be written"));
      }
      // The first was made before it turned out that it could not be recorded.
      // Nobody was told of it.
      EXPECT_LE(Records(), before + 1);
      auto started = newcomer->machine.StartJoin();
      ASSERT_THAT(started, IsOk());
      join = *std::move(started);
      EXPECT_TRUE(WaitUntil([&] {
        return ReadFile(newcomer->machine.dir().File("join.log"))
                   .find("AUDIT_UNAVAILABLE") != std::string::npos;
      }));
      EXPECT_EQ(StateOf(*newcomer), TokenState::kIssued);
    }
    EXPECT_EQ(join->AwaitExit(absl::Seconds(30)), 0);
    EXPECT_EQ(Issue("worker-somebody", "10s").exit_code, 0);
    EXPECT_TRUE(broker_->Running());
  }
  broker_->Stop(SIGTERM);
  const ProgramResult verified = RunProgram(
      {BuiltProgram("latchkeyctl"), "audit", "verify", dir_.File("audit.log")},
      {});
  EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
  EXPECT_THAT(ReadFile(dir_.File("audit.log")), HasSubstr("audit.resume"));
}

// The claim is done before its record is written, and nobody knows before that
// the disk has filled up.
TEST_F(BrokerExhaustionTest, AFirstClaimThatCannotBeRecordedIsKeptForItsKey) {
  StartBroker();
  const auto first = NewMachine("worker-first");
  const auto second = NewMachine("worker-second");
  std::vector<std::unique_ptr<ChildProcess>> joins;
  {
    const FailingCalls failing(broker_->pid(), "write:error=ENOSPC",
                               {"-P", dir_.File("audit.log")});
    if (!failing.Works()) LATCHKEY_LEAVE_OUT("strace may not trace");
    for (auto* newcomer : {first.get(), second.get()}) {
      const Machine& machine = newcomer->machine;
      newcomer->machine.UseTicket(pki_, broker_->node_endpoint(),
                                  newcomer->ticket);
      auto join = machine.StartJoin();
      ASSERT_THAT(join, IsOk());
      joins.push_back(*std::move(join));
      ASSERT_TRUE(WaitUntil([&] {
        return ReadFile(machine.dir().File("join.log"))
                   .find("AUDIT_UNAVAILABLE") != std::string::npos;
      }));
    }
    EXPECT_EQ(StateOf(*first), TokenState::kActive);
    EXPECT_EQ(StateOf(*second), TokenState::kIssued);
    for (const auto* newcomer : {first.get(), second.get()}) {
      EXPECT_THAT(dev_.RequestsOf(IdOf(newcomer->ticket)), IsEmpty())
          << "it was told of its token";
    }
  }
  for (const auto& join : joins) {
    EXPECT_EQ(join->AwaitExit(absl::Seconds(30)), 0);
  }
  for (const auto* newcomer : {first.get(), second.get()}) {
    EXPECT_THAT(dev_.RequestsOf(IdOf(newcomer->ticket)), SizeIs(1));
  }
  broker_->Stop(SIGTERM);
  const ProgramResult verified = RunProgram(
      {BuiltProgram("latchkeyctl"), "audit", "verify", dir_.File("audit.log")},
      {});
  EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
}

TEST_F(BrokerExhaustionTest, ABrokerOutOfDescriptorsGoesOnOnceThereAreSome) {
  StartBroker();
  rlimit limit = {};
  ASSERT_EQ(prlimit(broker_->pid(), RLIMIT_NOFILE, nullptr, &limit), 0);
  EXPECT_EQ(limit.rlim_cur, limit.rlim_max) << "it takes all that it may have";
  const size_t records = Records();
  const rlimit none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
  if (prlimit(broker_->pid(), RLIMIT_NOFILE, &none, nullptr) != 0) {
    LATCHKEY_LEAVE_OUT("this place does not let one limit another process");
  }
  EXPECT_EQ(Issue("worker-nobody", "1s").exit_code, 1);
  EXPECT_EQ(Records(), records);
  EXPECT_TRUE(broker_->Running());
  EXPECT_THAT(broker_->Log(), AllOf(HasSubstr("connections wait"),
                                    HasSubstr("Too many open files")));
  ASSERT_EQ(prlimit(broker_->pid(), RLIMIT_NOFILE, &limit, nullptr), 0);
  const ProgramResult issued = Issue("worker-somebody", "20s");
  EXPECT_EQ(issued.exit_code, 0) << issued.err;
  const auto newcomer = NewMachine("worker-patient");
  newcomer->machine.UseTicket(pki_, broker_->node_endpoint(), newcomer->ticket);
  ExpectJoins(*newcomer, newcomer->machine.Join());
}

TEST_F(BrokerExhaustionTest, ABrokerWhoseMemoryRunsOutSpendsNothing) {
  std::map<MemoryEnd, int> ends;
  for (int allocations = 1; ends[MemoryEnd::kNone] == 0; allocations *= 3) {
    SCOPED_TRACE(allocations);
    ASSERT_LT(allocations, 10'000'000);
    StartBroker(
        {.environment = {{"LD_PRELOAD", LATCHKEY_NO_MEMORY},
                         {"LATCHKEY_ALLOCATIONS", std::to_string(allocations)},
                         {"LATCHKEY_ALLOCATIONS_FROM", "SIGUSR2"}}});
    const auto newcomer = NewMachine(fmt::format("worker-{}", allocations));
    newcomer->machine.UseTicket(pki_, broker_->node_endpoint(),
                                newcomer->ticket);
    broker_->Signal(SIGUSR2);
    const auto join = newcomer->machine.StartJoin();
    ASSERT_THAT(join, IsOk());
    // Even one that lives has its memory back only by a new start.
    std::optional<int> joined;
    WaitUntil([&] {
      joined = (*join)->AwaitExit(absl::ZeroDuration());
      return joined.has_value() || !broker_->Running();
    });
    if (broker_->Running()) {
      EXPECT_EQ(joined, 0);
      ++ends[MemoryEnd::kNone];
    } else {
      ++ends[EndOf(*broker_->AwaitExit(), broker_->Log())];
      const TokenState state = StateOf(*newcomer);
      EXPECT_TRUE(state != TokenState::kSpent && state != TokenState::kRevoked);
      EXPECT_THAT(dev_.RequestsOf(IdOf(newcomer->ticket)), SizeIs(Le(1U)));
      StartBroker({.node_port = broker_->node_port()});
      EXPECT_EQ((*join)->AwaitExit(absl::Seconds(60)), 0)
          << ReadFile(newcomer->machine.dir().File("join.log"));
    }
    EXPECT_THAT(dev_.RequestsOf(IdOf(newcomer->ticket)), SizeIs(1));
    broker_ = nullptr;
  }
  EXPECT_GT(ends[MemoryEnd::kSaid], 0);
}

// Connections that say nothing.
class IdleConnections {
 public:
  void Open(int port, const std::string& from, int count) {
    for (int i = 0; i < count; ++i) {
      const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_in own = Ipv4Address(from, 0);
      const sockaddr_in there = Ipv4Address("127.0.0.1", port);
      EXPECT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof(own)),
                0);
      EXPECT_EQ(
          connect(fd, reinterpret_cast<const sockaddr*>(&there), sizeof(there)),
          0);
      sockets_.emplace_back(fd);
    }
  }
  void Close() { sockets_.clear(); }

 private:
  std::vector<latchkey::OwnedFd> sockets_;
};

TEST_F(BrokerExhaustionTest, AFloodOfConnectionsLeavesTheProvisionersAlone) {
  // 64 for each port, of which a peer has 16 at most.
  constexpr int kFiles = 256;
  constexpr int kOfPort = 64;
  constexpr int kOfPeer = 16;
  StartBroker({.open_files = kFiles});
  const auto metric = [this](const std::string& name) {
    const std::string text = HttpGet(broker_->metrics_port(), "/metrics");
    const size_t at = text.find("\n" + name + " ");
    return at == std::string::npos
               ? -1
               : std::stoi(text.substr(at + name.size() + 2));
  };
  const std::string open = "latchkey_connections{port=\"node\"}";
  const auto refused = [](const std::string& limit, const std::string& port) {
    return fmt::format(
        "latchkey_connections_refused_total{{limit=\"{}\",port=\"{}\"}}", limit,
        port);
  };
  IdleConnections flood;
  flood.Open(broker_->node_port(), "127.0.0.2", kFiles);
  EXPECT_TRUE(WaitUntil(
      [&] { return metric(refused("peer", "node")) == kFiles - kOfPeer; }));
  // Nobody else is concerned.
  const auto neighbour = NewMachine("worker-neighbour");
  neighbour->machine.UseTicket(pki_, broker_->node_endpoint(),
                               neighbour->ticket);
  ExpectJoins(*neighbour, neighbour->machine.Join());
  EXPECT_TRUE(WaitUntil([&] { return metric(open) <= kOfPeer; }));

  // One is put in the place of each that ends because it says nothing.
  int turn = 0;
  const auto fill = [&] {
    flood.Open(broker_->node_port(), fmt::format("127.0.0.{}", 3 + turn++ % 60),
               1);
    return metric(open) == kOfPort;
  };
  EXPECT_TRUE(WaitUntil(fill));
  const auto newcomer = NewMachine("worker-newcomer");
  newcomer->machine.UseTicket(pki_, broker_->node_endpoint(), newcomer->ticket);
  const auto join = newcomer->machine.StartJoin();
  ASSERT_THAT(join, IsOk());
  EXPECT_TRUE(WaitUntil([&] {
    fill();
    return ReadFile(newcomer->machine.dir().File("join.log")).find("retry") !=
               std::string::npos ||
           // It slipped in as many ended at once.
           (*join)->AwaitExit(absl::ZeroDuration()).has_value();
  }));
  const ProgramResult issued = Issue("worker-issued", "10s");
  EXPECT_EQ(issued.exit_code, 0) << issued.err;

  flood.Close();
  EXPECT_EQ((*join)->AwaitExit(absl::Seconds(60)), 0);
  EXPECT_TRUE(broker_->Running());
  EXPECT_GT(metric(refused("port", "node")), 0);
  EXPECT_EQ(metric(refused("peer", "provisioner")), -1);
  EXPECT_EQ(metric(refused("port", "provisioner")), -1);
  // Lines every ten seconds, and not for each.
  const std::string log = broker_->Log();
  int lines = 0;
  for (size_t at = log.find("connections refused"); at != std::string::npos;
       at = log.find("connections refused", at + 1)) {
    ++lines;
  }
  EXPECT_GE(lines, 2);
  EXPECT_LE(lines, 40);
}

TEST_F(BrokerExhaustionTest, AConfigurationThatCannotBeReadLeavesThePolicy) {
  StartBroker();
  const auto reloads = [this](const std::string& event) {
    return broker_->Log().find("\"event\":\"" + event + "\"") !=
           std::string::npos;
  };
  const std::string old = ReadFile(broker_->config_file());
  std::string narrow = old;
  narrow.replace(narrow.find("worker-*"), 8, "gpu-*");
  {
    const FailingCalls failing(broker_->pid(), "read:error=EIO",
                               {"-P", broker_->config_file()});
    if (!failing.Works()) LATCHKEY_LEAVE_OUT("strace may not trace");
    // Written in place: the path that strace looks for stays the same file.
    std::ofstream(broker_->config_file()) << narrow;
    broker_->Signal(SIGHUP);
    EXPECT_TRUE(WaitUntil([&] { return reloads("policy not reloaded"); }));
    EXPECT_THAT(broker_->Log(), HasSubstr("Input/output error"));
    EXPECT_EQ(Issue("worker-old", "10s").exit_code, 0);
  }
  broker_->Signal(SIGHUP);
  EXPECT_TRUE(WaitUntil([&] { return reloads("policy reloaded"); }));
  EXPECT_EQ(Issue("worker-new", "10s").exit_code, 3);
}

TEST_F(BrokerExhaustionTest, ABrokerWithTooFewDescriptorsDoesNotStart) {
  StartBroker();
  const ProgramResult failed =
      RunProgram({"prlimit", "--nofile=20", BuiltProgram("latchkeyd"),
                  "--config", broker_->config_file()},
                 {});
  EXPECT_EQ(failed.exit_code, 1) << failed.err;
  EXPECT_THAT(failed.err, HasSubstr("files open"));
}

}  // namespace
}  // namespace latchkey_testing
