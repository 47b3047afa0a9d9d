// latchkey-join, killed at each system call that touches a file or a socket,
// one run a call, against `latchkeyd dev`: nothing is half-written, the next
// run joins with the same key, and the token bought one certificate.
//
// LATCHKEY_KILL_STRIDE=8 in the environment tries every eighth call only, but
// still each of those that change what stands on the disk.

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <filesystem>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include "core/config_reader.h"
#include "crypto/certificate.h"
#include "tests/e2e/dev_process.h"
#include "tests/e2e/join_test.h"
#include "tests/testing/left_out.h"

namespace latchkey_testing {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

namespace fs = std::filesystem;

constexpr char kLinkName[] = "kubelet-client-current.pem";

long NumberFrom(const char* variable, long otherwise) {
  const char* text = getenv(variable);
  return text == nullptr ? otherwise : strtol(text, nullptr, 10);
}

// For die-at-syscall: the `nth` of these calls only, whose names differ
// with the C library and the architecture.
std::string NthOf(long nth, const std::vector<long>& calls) {
  return fmt::format("{}@{}", nth, fmt::join(calls, ","));
}

// The key in `pem`, which may hold certificates too; nullopt if there is none.
std::optional<std::string> KeyDigestIn(const std::string& pem) {
  const size_t label = pem.find("PRIVATE KEY-----");
  if (label == std::string::npos) return std::nullopt;
  const auto key =
      latchkey::PrivateKey::FromPem(pem.substr(pem.rfind("-----BEGIN", label)));
  if (!key.ok()) return std::nullopt;
  return key->public_key_digest();
}

// The files of a machine's folder that latchkey-join made.
class KilledMachine : public Machine {
 public:
  explicit KilledMachine(const std::string& name) : Machine(name) {}

  // What a kill may leave: temporary files that nobody else may read, and
  // beside them only whole files. Answers the key, if there is one by now.
  std::optional<std::string> CheckAfterKill() const {
    std::optional<std::string> digest;
    for (const auto& entry : fs::recursive_directory_iterator(dir().path())) {
      const std::string name = entry.path().filename().string();
      SCOPED_TRACE(name);
      CheckMode(entry.path());
      if (!entry.is_regular_file() || name.starts_with(".latchkey-tmp-")) {
        continue;
      }
      const std::string text = ReadFile(entry.path());
      if (name == "latchkey-join.key" || name.starts_with("kubelet-client-")) {
        const auto key = KeyDigestIn(text);
        EXPECT_TRUE(key.has_value()) << "half a key";
        EXPECT_TRUE(!digest.has_value() || digest == key) << "two keys";
        digest = key;
      }
      if (name.ends_with(".pem") || name == "ca.crt") {
        EXPECT_THAT(latchkey::Certificate::ParseAll(text), IsOk());
      }
      if (name == "kubelet.conf") {
        EXPECT_TRUE(text.ends_with("current-context: default-context\n"));
      }
    }
    return digest;
  }

  // The names of all that is there once it has joined.
  void CheckJoined(const std::optional<std::string>& key_before) const {
    std::map<std::string, int> names;
    for (const auto& entry : fs::recursive_directory_iterator(dir().path())) {
      const std::string name = entry.path().filename().string();
      SCOPED_TRACE(name);
      CheckMode(entry.path());
      ++names[name.starts_with("kubelet-client-2") ? "credential" : name];
    }
    EXPECT_EQ(names, (std::map<std::string, int>{{"ca.crt", 1},
                                                 {"credential", 1},
                                                 {"join.yaml", 1},
                                                 {kLinkName, 1},
                                                 {"kubelet.conf", 1},
                                                 {"latchkey-join.lock", 1},
                                                 {"pki", 1},
                                                 {"ticket", 1}}));
    const std::string pem = ReadFile(current_pem());
    const auto certificates = latchkey::Certificate::ParseAll(pem);
    ASSERT_THAT(certificates, IsOk());
    const auto key = KeyDigestIn(pem);
    EXPECT_EQ(certificates->front().key_digest, key);
    EXPECT_TRUE(!key_before.has_value() || key == key_before) << "another key";
  }

 private:
  static void CheckMode(const fs::path& path) {
    struct stat found = {};
    ASSERT_EQ(lstat(path.c_str(), &found), 0);
    const std::string name = path.filename().string();
    if (S_ISLNK(found.st_mode) || name == "ticket" || name == "join.yaml") {
      return;  // ours, or without a mode
    }
    const mode_t mode = found.st_mode & 07777;
    if (S_ISDIR(found.st_mode)) {
      EXPECT_EQ(mode, 0755U);
    } else if (name == "ca.crt" || name.starts_with(".latchkey-tmp-ca.crt")) {
      EXPECT_EQ(mode & ~0644U, 0U) << mode;
    } else {
      EXPECT_EQ(mode, 0600U);
    }
  }
};

class KilledAnywhereTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (RunDyingAt("1", {"/bin/true"}).exit_code != 0) {
      LATCHKEY_LEAVE_OUT("this place does not let a process trace another");
    }
  }

  static ProgramResult RunDyingAt(const std::string& which,
                                  std::vector<std::string> command) {
    command.insert(command.begin(), {BuiltProgram("die-at-syscall"), which});
    return RunProgram(command, {});
  }

  // False if the run ended before the call `which`, as die-at-syscall has it.
  bool KillAndJoinAgain(const std::string& which) {
    SCOPED_TRACE("call " + which);
    const std::string node = fmt::format("worker-{}", ++machines_);
    const std::string ticket = dev_.Ticket(node);
    EXPECT_NE(ticket, "");
    KilledMachine machine(node);
    machine.UseTicket(dev_.Path("ca.crt"), dev_.node_endpoint(), ticket);

    const ProgramResult first =
        RunDyingAt(which, {BuiltProgram("latchkey-join"), "--config",
                           machine.dir().File("join.yaml")});
    const bool killed = first.exit_code == 137;
    EXPECT_TRUE(killed || first.exit_code == 0) << first.err;
    SCOPED_TRACE(first.err);
    const auto key = machine.CheckAfterKill();
    // Once the cluster knows of the machine, its key is on the disk.
    const auto record = dev_.Record(IdOf(ticket));
    EXPECT_THAT(record, IsOk());
    if (record.ok() && record->record.claim.has_value()) {
      EXPECT_EQ(record->record.claim->key_digest, key.value_or("no key"));
    }

    const ProgramResult again = machine.Join();
    EXPECT_EQ(again.exit_code, 0) << again.err;
    machine.CheckJoined(key);
    const auto requests = dev_.RequestsOf(IdOf(ticket));
    EXPECT_THAT(requests, SizeIs(1));
    for (const Csr& request : requests) {
      EXPECT_NE(request.status().certificate(), "");
    }
    return killed;
  }

  // Kills a run at each of `calls`, until one outlives them all. Answers how
  // many were killed.
  long KillAtEach(const std::vector<long>& calls) {
    long kills = 0;
    while (KillAndJoinAgain(NthOf(kills + 1, calls)) && !HasFailure()) ++kills;
    return kills;
  }

  DevProcess dev_;
  int machines_ = 0;
};

TEST_F(KilledAnywhereTest,
       KilledAtAnyCallForAFileOrASocketTheNextRunJoinsWithTheSameKey) {
  const long stride = NumberFrom("LATCHKEY_KILL_STRIDE", 1);
  // One run makes some calls more than another: one that outlives its nth is
  // not the end.
  constexpr int kSurvivors = 10;
  long kills = 0;
  long nth = 1;
  for (int survivors = 0; survivors < kSurvivors && !HasFailure();
       nth += stride) {
    const bool killed = KillAndJoinAgain(std::to_string(nth));
    survivors = killed ? 0 : survivors + 1;
    if (killed) ++kills;
  }
  std::cerr << "killed " << kills << " runs of " << nth - 1 << " calls\n";
  EXPECT_GE(kills * stride, 200) << "a join makes more calls than that";
}

// The test above may miss one: a run's nth call is not always the same one.
TEST_F(KilledAnywhereTest, KilledAtEachCallThatChangesTheDiskItIsTheSame) {
#ifdef SYS_rename
  EXPECT_GE(KillAtEach({SYS_rename, SYS_renameat, SYS_renameat2}), 2);
  EXPECT_GE(KillAtEach({SYS_symlink, SYS_symlinkat}), 1);
  EXPECT_GE(KillAtEach({SYS_unlink, SYS_unlinkat}), 1);
#else
  EXPECT_GE(KillAtEach({SYS_renameat, SYS_renameat2}), 2);
  EXPECT_GE(KillAtEach({SYS_symlinkat}), 1);
  EXPECT_GE(KillAtEach({SYS_unlinkat}), 1);
#endif
  EXPECT_GE(KillAtEach({SYS_fsync}), 4);
  EXPECT_GE(KillAtEach({SYS_connect}), 2);
}

}  // namespace
}  // namespace latchkey_testing
