#include "clients/files/durable_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/testing/kill_at.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::KillAt;
using latchkey_testing::Killed;
using latchkey_testing::ReadFile;
using latchkey_testing::StatusIs;
using latchkey_testing::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

mode_t ModeOf(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

std::vector<std::string> NamesIn(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class Umask {
 public:
  explicit Umask(mode_t mask) : before_(umask(mask)) {}
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;
  ~Umask() { umask(before_); }

 private:
  mode_t before_;
};

TEST(DurableFileTest, WritesExactlyTheModeWhateverTheUmask) {
  const TempDir dir;
  for (const mode_t mask : {0, 022, 077, 0777}) {
    const Umask umask(mask);
    ASSERT_THAT(WriteFileDurably(dir.File("secret"), "a", 0600), IsOk());
    ASSERT_THAT(WriteFileDurably(dir.File("public"), "b", 0644), IsOk());
    EXPECT_EQ(ModeOf(dir.File("secret")), 0600U);
    EXPECT_EQ(ModeOf(dir.File("public")), 0644U);
  }
}

TEST(DurableFileTest, ReplacesAFileAndItsMode) {
  const TempDir dir;
  dir.Write("file", "old");
  std::filesystem::permissions(dir.File("file"), std::filesystem::perms(0666));

  ASSERT_THAT(WriteFileDurably(dir.File("file"), "new", 0600), IsOk());

  EXPECT_EQ(ReadFile(dir.File("file")), "new");
  EXPECT_EQ(ModeOf(dir.File("file")), 0600U);
  EXPECT_THAT(NamesIn(dir.path()), ElementsAre("file"));
}

TEST(DurableFileTest, ReplacesALinkAndNotWhatItLeadsTo) {
  const TempDir dir;
  dir.Write("precious", "old");
  std::filesystem::create_symlink(dir.File("precious"), dir.File("file"));

  ASSERT_THAT(WriteFileDurably(dir.File("file"), "new", 0600), IsOk());

  EXPECT_EQ(ReadFile(dir.File("precious")), "old");
  EXPECT_EQ(ReadFile(dir.File("file")), "new");
}

TEST(DurableFileTest, AKilledWriterLeavesTheOldFileOrTheNewOne) {
  struct Case {
    const char* point;
    const char* want;
  };
  for (const Case& c : {Case{"durable_file.temporary_made", "old"},
                        Case{"durable_file.temporary_written", "old"},
                        Case{"durable_file.renamed", "new"}}) {
    SCOPED_TRACE(c.point);
    const TempDir dir;
    dir.Write("file", "old");
    {
      const KillAt fault(c.point);
      EXPECT_THROW((void)WriteFileDurably(dir.File("file"), "new", 0600),
                   Killed);
    }
    EXPECT_EQ(ReadFile(dir.File("file")), c.want);

    ASSERT_THAT(RemoveLeftovers(dir.path().string()), IsOk());
    EXPECT_THAT(NamesIn(dir.path()), ElementsAre("file"));
    EXPECT_EQ(ReadFile(dir.File("file")), c.want);
  }
}

TEST(DurableFileTest, ALeftoverDoesNotStopTheNextWriter) {
  const TempDir dir;
  for (int i = 0; i < 3; ++i) {
    const KillAt fault("durable_file.temporary_made");
    EXPECT_THROW((void)WriteFileDurably(dir.File("file"), "x", 0600), Killed);
  }
  EXPECT_THAT(WriteFileDurably(dir.File("file"), "x", 0600), IsOk());
}

TEST(DurableFileTest, ANewFileReplacesNothing) {
  const TempDir dir;
  const std::string path = dir.File("file");
  {
    const Umask umask(0777);
    EXPECT_THAT(ProbeNewFile(path), IsOk());
    EXPECT_THAT(NamesIn(dir.path()), IsEmpty());
    ASSERT_THAT(WriteNewFileDurably(path, "first", 0600), IsOk());
  }
  EXPECT_EQ(ModeOf(path), 0600U);
  std::filesystem::create_symlink("/nowhere", dir.File("link"));
  std::filesystem::create_directory(dir.File("folder"));
  for (const char* name : {"file", "link", "folder"}) {
    EXPECT_THAT(ProbeNewFile(dir.File(name)),
                StatusIs(absl::StatusCode::kAlreadyExists));
    EXPECT_THAT(WriteNewFileDurably(dir.File(name), "second", 0600),
                StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr(name)));
  }
  EXPECT_EQ(ReadFile(path), "first");
  EXPECT_THAT(NamesIn(dir.path()), ElementsAre("file", "folder", "link"));
  EXPECT_THAT(ProbeNewFile(dir.File("no/file")),
              StatusIs(absl::StatusCode::kInternal));
}

TEST(DurableFileTest, AKilledWriterLeavesNoNewFileOrAWholeOne) {
  struct Case {
    const char* point;
    bool there;
  };
  for (const Case& c : {Case{"durable_file.temporary_made", false},
                        Case{"durable_file.temporary_written", false},
                        Case{"durable_file.renamed", true}}) {
    SCOPED_TRACE(c.point);
    const TempDir dir;
    const std::string path = dir.File("file");
    {
      const KillAt fault(c.point);
      EXPECT_THROW((void)WriteNewFileDurably(path, "new", 0600), Killed);
    }
    EXPECT_EQ(std::filesystem::exists(path), c.there);
    if (!c.there) {
      EXPECT_THAT(ProbeNewFile(path), IsOk()) << "it can be made again";
      EXPECT_THAT(WriteNewFileDurably(path, "new", 0600), IsOk());
    }
    EXPECT_EQ(ReadFile(path), "new");
  }
}

TEST(DurableFileTest, LeftoversAreOnlyOurs) {
  const TempDir dir;
  for (const char* name : {".latchkey-tmp-kubelet.conf-17-0", ".latchkey-tmp-a",
                           "file", ".latchkey", ".hidden"}) {
    dir.Write(name, "x");
  }
  std::filesystem::create_symlink("/nowhere", dir.File(".latchkey-tmp-link"));

  ASSERT_THAT(RemoveLeftovers(dir.path().string()), IsOk());

  EXPECT_THAT(NamesIn(dir.path()), ElementsAre(".hidden", ".latchkey", "file"));
}

TEST(DurableFileTest, WritingWhereThereIsNoFolderFails) {
  const TempDir dir;
  EXPECT_THAT(WriteFileDurably(dir.File("no/file"), "x", 0600),
              StatusIs(absl::StatusCode::kInternal,
                       HasSubstr("No such file or directory")));
  // A folder stands where the file should: it stays, and nothing is left.
  std::filesystem::create_directory(dir.File("folder"));
  EXPECT_THAT(WriteFileDurably(dir.File("folder"), "x", 0600),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("folder")));
  EXPECT_THAT(NamesIn(dir.path()), ElementsAre("folder"));
}

TEST(DurableFileTest, MakesFoldersAboveWithTheirMode) {
  const TempDir dir;
  const Umask umask(077);
  ASSERT_THAT(EnsureDirectory(dir.File("a/b/c")), IsOk());
  ASSERT_THAT(EnsureDirectory(dir.File("a/b/c")), IsOk());
  for (const char* path : {"a", "a/b", "a/b/c"}) {
    EXPECT_EQ(ModeOf(dir.File(path)), 0755U) << path;
  }
}

TEST(DurableFileTest, FoldersThatAreThereKeepTheirMode) {
  const TempDir dir;
  std::filesystem::create_directory(dir.File("a"));
  std::filesystem::permissions(dir.File("a"), std::filesystem::perms(0700));
  ASSERT_THAT(EnsureDirectory(dir.File("a")), IsOk());
  EXPECT_EQ(ModeOf(dir.File("a")), 0700U);
}

TEST(DurableFileTest, AFileIsNoFolder) {
  const TempDir dir;
  dir.Write("file", "");
  EXPECT_THAT(EnsureDirectory(dir.File("file")),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("file")));
  EXPECT_THAT(EnsureDirectory(dir.File("file/below")),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("file")));
}

TEST(DurableFileTest, ProbingLeavesNothing) {
  const TempDir dir;
  EXPECT_THAT(ProbeDirectory(dir.path().string()), IsOk());
  EXPECT_THAT(NamesIn(dir.path()), IsEmpty());
  EXPECT_THAT(ProbeDirectory(dir.File("missing")),
              StatusIs(absl::StatusCode::kInternal));
}

TEST(DurableFileTest, ProbingSeesWhereNothingCanBeMade) {
  // /proc refuses new files, to root too.
  EXPECT_THAT(ProbeDirectory("/proc/self"),
              StatusIs(absl::StatusCode::kInternal));
}

TEST(DurableFileTest, SwapsALinkWithoutAGap) {
  const TempDir dir;
  ASSERT_THAT(SwapSymlink(dir.File("link"), "/first"), IsOk());
  EXPECT_EQ(std::filesystem::read_symlink(dir.File("link")), "/first");
  {
    const KillAt fault("durable_file.link_made");
    EXPECT_THROW((void)SwapSymlink(dir.File("link"), "/second"), Killed);
  }
  EXPECT_EQ(std::filesystem::read_symlink(dir.File("link")), "/first");
  ASSERT_THAT(SwapSymlink(dir.File("link"), "/second"), IsOk());
  EXPECT_EQ(std::filesystem::read_symlink(dir.File("link")), "/second");
}

TEST(DurableFileTest, ALinkNeverReplacesAFile) {
  const TempDir dir;
  dir.Write("link", "a private key");
  EXPECT_THAT(SwapSymlink(dir.File("link"), "/target"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("move it away")));
  EXPECT_EQ(ReadFile(dir.File("link")), "a private key");
}

TEST(DurableFileTest, RemovingWhatIsMissingIsDone) {
  const TempDir dir;
  dir.Write("file", "");
  EXPECT_THAT(RemoveFile(dir.File("file")), IsOk());
  EXPECT_THAT(RemoveFile(dir.File("file")), IsOk());
}

TEST(DurableFileTest, OneHoldsTheLock) {
  const TempDir dir;
  {
    const auto first = FileLock::TryAcquire(dir.File("lock"));
    ASSERT_THAT(first, IsOk());
    EXPECT_THAT(FileLock::TryAcquire(dir.File("lock")),
                StatusIs(absl::StatusCode::kUnavailable));
  }
  EXPECT_THAT(FileLock::TryAcquire(dir.File("lock")), IsOk());
}

TEST(DurableFileTest, TheLockMovesWithItsOwner) {
  const TempDir dir;
  auto first = FileLock::TryAcquire(dir.File("lock"));
  ASSERT_THAT(first, IsOk());
  {
    const FileLock second = *std::move(first);
    EXPECT_THAT(FileLock::TryAcquire(dir.File("lock")),
                StatusIs(absl::StatusCode::kUnavailable));
  }
  EXPECT_THAT(FileLock::TryAcquire(dir.File("lock")), IsOk());
}

}  // namespace
}  // namespace latchkey
