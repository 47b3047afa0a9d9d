#include "clients/ctl/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <utility>

#include <fmt/format.h>

namespace latchkey {

absl::StatusOr<NewFile> NewFile::Create(const std::string& path) {
  const int fd =
      open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0) return NewFile(path, fd);
  return absl::InvalidArgumentError(
      fmt::format("cannot create {}: {}", path, strerror(errno)));
}

NewFile::NewFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

NewFile::NewFile(NewFile&& other) noexcept
    : path_(other.path_), fd_(std::exchange(other.fd_, -1)) {}

NewFile::~NewFile() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(path_.c_str());
}

absl::Status NewFile::Write(std::string_view content) {
  const auto failed = [this] {
    return absl::InternalError(
        fmt::format("cannot write {}: {}", path_, strerror(errno)));
  };
  while (!content.empty()) {
    const ssize_t count = write(fd_, content.data(), content.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return failed();
    content.remove_prefix(static_cast<size_t>(count));
  }
  if (fsync(fd_) != 0) return failed();
  close(std::exchange(fd_, -1));
  return absl::OkStatus();
}

}  // namespace latchkey
