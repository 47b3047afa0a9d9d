#include "clients/files/read_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include <gmock/gmock.h>

#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace latchkey {
namespace {

using ::latchkey_testing::IsOkAndHolds;
using ::latchkey_testing::StatusIs;
using ::latchkey_testing::TempDir;
using ::testing::HasSubstr;

TEST(ReadFileTest, ReadsUpToTheLimit) {
  const TempDir dir;
  const std::string content("a\0b\n", 4);
  const std::string path = dir.Write("file", content);

  EXPECT_THAT(ReadFileBounded(path, 100), IsOkAndHolds(content));
  EXPECT_THAT(ReadFileBounded(path, 4), IsOkAndHolds(content));
  EXPECT_THAT(ReadFileBounded(path, 3),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(path)));
  EXPECT_THAT(ReadFileBounded(dir.Write("empty", ""), 0), IsOkAndHolds(""));
}

TEST(ReadFileTest, ErrorsNameThePathAndTheReason) {
  const TempDir dir;
  EXPECT_THAT(ReadFileBounded(dir.File("none"), 1),
              StatusIs(absl::StatusCode::kNotFound,
                       ::testing::AllOf(HasSubstr(dir.File("none")),
                                        HasSubstr("No such file"))));
  EXPECT_THAT(ReadFileBounded(dir.path().string(), 1),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ReadFileTest, AStreamHasTheSameLimit) {
  const std::string content("a\0b\n", 4);
  for (const size_t limit : {4, 100, 1 << 20}) {
    std::istringstream stream(content);
    EXPECT_THAT(ReadStreamBounded(stream, "input", limit),
                IsOkAndHolds(content));
  }
  std::istringstream stream(content);
  EXPECT_THAT(ReadStreamBounded(stream, "input", 3),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("input: larger than 3 bytes")));
  std::istringstream empty;
  EXPECT_THAT(ReadStreamBounded(empty, "input", 0), IsOkAndHolds(""));
  const std::string long_text(300'000, 'x');
  std::istringstream much(long_text);
  EXPECT_THAT(ReadStreamBounded(much, "input", 300'000),
              IsOkAndHolds(long_text));
}

TEST(ReadFileTest, AFifoDoesNotBlock) {
  const TempDir dir;
  ASSERT_EQ(mkfifo(dir.File("fifo").c_str(), 0600), 0);
  EXPECT_THAT(ReadFileBounded(dir.File("fifo"), 1),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(FileStampTest, ChangesWithTheFile) {
  const TempDir dir;
  const std::string path = dir.Write("file", "one");
  const auto first = StampOfFile(path);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(*StampOfFile(path), *first);

  dir.Write("file", "longer");
  const auto rewritten = StampOfFile(path);
  EXPECT_NE(*rewritten, *first);

  std::filesystem::rename(dir.Write("new", "longer"), path);
  EXPECT_NE(*StampOfFile(path), *rewritten);
  EXPECT_THAT(StampOfFile(dir.File("none")),
              StatusIs(absl::StatusCode::kNotFound));
}

// As the kubelet does it for mounted secrets.
TEST(FileStampTest, ChangesWhenALinkPointsElsewhere) {
  const TempDir dir;
  for (const char* version : {"v1", "v2"}) {
    std::filesystem::create_directory(dir.File(version));
    dir.Write(std::string(version) + "/token", "same");
  }
  std::filesystem::create_symlink("v1", dir.File("data"));
  const auto first = StampOfFile(dir.File("data/token"));

  std::filesystem::remove(dir.File("data"));
  std::filesystem::create_symlink("v2", dir.File("data"));

  EXPECT_NE(*StampOfFile(dir.File("data/token")), *first);
}

}  // namespace
}  // namespace latchkey
