#include "audit/file_audit_log.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <gmock/gmock.h>

#include "audit/audit_verify.h"
#include "core/reasons.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace latchkey {
namespace {

using latchkey_testing::FakeClock;
using latchkey_testing::IsOk;
using latchkey_testing::ReadFile;
using latchkey_testing::ReasonIs;
using latchkey_testing::StatusIs;
using latchkey_testing::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FileAuditLogTest : public ::testing::Test {
 protected:
  std::unique_ptr<FileAuditLog> Open(bool fail_closed = true) {
    auto log = FileAuditLog::Open(
        {.file = file_,
         .fsync = false,
         .fail_closed = fail_closed,
         .on_lost = [this](size_t records,
                           const absl::Status&) { lost_ += records; }},
        clock_);
    EXPECT_THAT(log, IsOk());
    return log.ok() ? *std::move(log) : nullptr;
  }
  static AuditEvent Event(const std::string& action) {
    return {.action = action};
  }
  // The actions in `file`, in order.
  static std::vector<std::string> ActionsIn(const std::string& file) {
    std::vector<std::string> actions;
    std::istringstream text(ReadFile(file));
    for (std::string line; std::getline(text, line);) {
      const auto record = ParseAuditLine(line);
      actions.push_back(record.ok() ? record->event.action : "?");
    }
    return actions;
  }
  static absl::StatusOr<AuditSummary> Verify(
      const std::vector<std::string>& files) {
    std::vector<std::unique_ptr<std::ifstream>> streams;
    std::vector<AuditSource> sources;
    for (const std::string& file : files) {
      streams.push_back(std::make_unique<std::ifstream>(file));
      sources.push_back({file, streams.back().get()});
    }
    return VerifyAudit(sources);
  }

  FakeClock clock_;
  TempDir dir_;
  const std::string file_ = dir_.File("audit.log");
  size_t lost_ = 0;
};

// No file of this process may grow beyond what it has now: a full disk.
class FullDisk {
 public:
  explicit FullDisk(const std::string& file, rlim_t spare = 0) {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit full = before_;
    full.rlim_cur = std::filesystem::file_size(file) + spare;
    setrlimit(RLIMIT_FSIZE, &full);
  }
  ~FullDisk() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_ = {};
};

TEST_F(FileAuditLogTest, IsTheOwnersAloneAndChained) {
  const auto log = Open();
  ASSERT_THAT(log->Record(Event("a")), IsOk());
  ASSERT_THAT(log->RecordAll({Event("b"), Event("c")}), IsOk());
  struct stat found = {};
  ASSERT_EQ(stat(file_.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600U);
  EXPECT_THAT(ActionsIn(file_), ElementsAre("audit.start", "a", "b", "c"));
  const auto summary = Verify({file_});
  ASSERT_THAT(summary, IsOk());
  EXPECT_EQ(summary->chains.at(0).head, log->head());
}

TEST_F(FileAuditLogTest, ARestartGoesOnWithTheChain) {
  Open()->Record(Event("a")).IgnoreError();
  Open()->Record(Event("b")).IgnoreError();
  EXPECT_THAT(ActionsIn(file_),
              ElementsAre("audit.start", "a", "audit.start", "b"));
  EXPECT_THAT(Verify({file_}), IsOk());
}

TEST_F(FileAuditLogTest, ATornLineIsCutOffAndNoted) {
  Open()->Record(Event("a")).IgnoreError();
  const std::string whole = ReadFile(file_);
  // Of the second line as of the first: the machine died at any byte.
  for (const size_t size : {whole.size() - 1, whole.size() / 2 + 40, 10UL}) {
    std::ofstream(file_, std::ios::binary) << whole.substr(0, size);
    Open()->Record(Event("b")).IgnoreError();
    EXPECT_THAT(Verify({file_}), IsOk()) << size;
    EXPECT_THAT(ReadFile(file_), HasSubstr("\"torn_bytes\":")) << size;
  }
}

TEST_F(FileAuditLogTest, WhatIsNoAuditLogIsLeftAlone) {
  const auto refused = [&](const std::string& text) {
    std::ofstream(file_, std::ios::binary) << text;
    const auto log = FileAuditLog::Open({.file = file_}, clock_);
    EXPECT_THAT(log,
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(file_)));
    EXPECT_EQ(ReadFile(file_), text);
  };
  refused("somebody's notes\n");
  refused("somebody's notes");
  refused("\n");
  EXPECT_THAT(FileAuditLog::Open({.file = dir_.File("none/audit.log")}, clock_),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(FileAuditLog::Open({.file = "/dev/full"}, clock_),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(FileAuditLogTest, TwoBrokersDoNotWriteOneFile) {
  const auto log = Open();
  EXPECT_THAT(FileAuditLog::Open({.file = file_}, clock_),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("another")));
}

TEST_F(FileAuditLogTest, AFullDiskRefusesAndRecovers) {
  const auto log = Open();
  ASSERT_THAT(log->Record(Event("a")), IsOk());
  const std::string before = ReadFile(file_);
  {
    const FullDisk full(file_, /*spare=*/50);
    EXPECT_THAT(log->Record(Event("b")), ReasonIs(reason::kAuditUnavailable));
    EXPECT_THAT(log->Ready(), ReasonIs(reason::kAuditUnavailable));
    EXPECT_EQ(ReadFile(file_), before) << "a part of a line is left";
  }
  EXPECT_EQ(lost_, 1U);
  EXPECT_THAT(log->Ready(), IsOk());
  EXPECT_THAT(log->Record(Event("c")), IsOk());
  EXPECT_THAT(ActionsIn(file_),
              ElementsAre("audit.start", "a", "audit.resume", "c"));
  EXPECT_THAT(ReadFile(file_), HasSubstr("\"lost\":\"1\""));
  EXPECT_THAT(Verify({file_}), IsOk());
}

TEST_F(FileAuditLogTest, WithoutInsistingAFullDiskOnlyCosts) {
  const auto log = Open(/*fail_closed=*/false);
  {
    const FullDisk full(file_);
    EXPECT_THAT(log->Ready(), IsOk());
    EXPECT_THAT(log->Record(Event("b")), IsOk());
    EXPECT_THAT(log->Record(Event("b")), IsOk());
  }
  EXPECT_EQ(lost_, 2U);
  EXPECT_THAT(log->Record(Event("c")), IsOk());
  EXPECT_THAT(ActionsIn(file_),
              ElementsAre("audit.start", "audit.resume", "c"));
  EXPECT_THAT(Verify({file_}), IsOk());
}

TEST_F(FileAuditLogTest, AfterARenameTheChainGoesOnInANewFile) {
  const auto log = Open();
  ASSERT_THAT(log->Record(Event("a")), IsOk());
  const std::string old = dir_.File("audit.log.1");
  std::filesystem::rename(file_, old);
  ASSERT_THAT(log->Record(Event("b")), IsOk());
  EXPECT_THAT(ActionsIn(old), ElementsAre("audit.start", "a"));
  EXPECT_THAT(ActionsIn(file_), ElementsAre("b"));
  EXPECT_THAT(Verify({file_, old}), IsOk());
  EXPECT_THAT(Verify({file_}), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(FileAuditLogTest, AfterACopyAndACutTheChainGoesOn) {
  const auto log = Open();
  ASSERT_THAT(log->Record(Event("a")), IsOk());
  const std::string old = dir_.File("audit.log.1");
  std::filesystem::copy_file(file_, old);
  std::filesystem::resize_file(file_, 0);
  ASSERT_THAT(log->Record(Event("b")), IsOk());
  EXPECT_THAT(Verify({old, file_}), IsOk());
}

TEST_F(FileAuditLogTest, ManyCallersEachFindTheirRecordWritten) {
  const auto log = Open();
  constexpr int kThreads = 16;
  constexpr int kEach = 50;
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const std::string name = std::to_string(t) + "." + std::to_string(i);
        EXPECT_THAT(log->Record(Event(name)), IsOk());
        if (i == kEach - 1) {
          EXPECT_THAT(ReadFile(file_), HasSubstr("\"" + name + "\""));
        }
      }
    });
  }
  threads.clear();
  const auto summary = Verify({file_});
  ASSERT_THAT(summary, IsOk());
  EXPECT_EQ(summary->records, 1U + kThreads * kEach);
}

}  // namespace
}  // namespace latchkey
