#include "clients/files/read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include <absl/status/status.h>
#include <fmt/format.h>

namespace latchkey {
namespace {

absl::Status ErrnoStatus(const std::string& path, int error) {
  const std::string message =
      fmt::format("{}: {}", path, std::generic_category().message(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(message);
    default:
      return absl::InternalError(message);
  }
}

absl::Status TooLarge(std::string_view name, size_t max_bytes) {
  return absl::InvalidArgumentError(
      fmt::format("{}: larger than {} bytes", name, max_bytes));
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

FileStamp StampOf(const struct stat& info) {
  return {.device = info.st_dev,
          .inode = info.st_ino,
          .size = info.st_size,
          .modified_ns = int64_t{info.st_mtim.tv_sec} * 1'000'000'000 +
                         info.st_mtim.tv_nsec};
}

}  // namespace

absl::StatusOr<std::string> ReadFileBounded(const std::string& path,
                                            size_t max_bytes) {
  // Not blocking: opening a FIFO would wait for a writer.
  const FileDescriptor file(
      open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0) return ErrnoStatus(path, errno);
  struct stat info = {};
  if (fstat(file.get(), &info) != 0) return ErrnoStatus(path, errno);
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(
        fmt::format("{}: not a regular file", path));
  }
  // The size is a hint only: the file may grow while it is read. With the hint
  // most files need one read and no copy, and a small file no large buffer. One
  // byte more than allowed tells "just fits" from "too large".
  std::string content;
  content.resize(std::min(static_cast<size_t>(info.st_size), max_bytes) + 1);
  size_t used = 0;
  while (true) {
    const ssize_t got =
        read(file.get(), content.data() + used, content.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(path, errno);
    if (got == 0) break;
    used += static_cast<size_t>(got);
    if (used > max_bytes) break;
    if (used == content.size()) {
      content.resize(std::min(used * 2, max_bytes + 1));
    }
  }
  if (used > max_bytes) {
    return TooLarge(path, max_bytes);
  }
  content.resize(used);
  return content;
}

absl::StatusOr<std::string> ReadStreamBounded(std::istream& stream,
                                              std::string_view name,
                                              size_t max_bytes) {
  constexpr size_t kChunk = 64 << 10;
  std::string content;
  while (stream) {
    const size_t used = content.size();
    if (used > max_bytes) return TooLarge(name, max_bytes);
    content.resize(used + std::min(kChunk, max_bytes + 1 - used));
    stream.read(content.data() + used,
                static_cast<std::streamsize>(content.size() - used));
    content.resize(used + static_cast<size_t>(stream.gcount()));
  }
  if (stream.bad()) {
    return absl::InternalError(fmt::format("{}: cannot read", name));
  }
  if (content.size() > max_bytes) return TooLarge(name, max_bytes);
  return content;
}

absl::StatusOr<FileStamp> StampOfFile(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return ErrnoStatus(path, errno);
  return StampOf(info);
}

}  // namespace latchkey
