#include "clients/files/durable_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "core/fault_point.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

// What the names of temporary files begin with.
constexpr std::string_view kTemporaryPrefix = ".latchkey-tmp-";

absl::Status ErrnoStatus(std::string_view what, const std::string& path,
                         int error) {
  return absl::InternalError(fmt::format(
      "{}: cannot {}: {}", path, what, std::generic_category().message(error)));
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() { Close(); }

  int get() const { return fd_; }
  // The result of close(2).
  int Close() { return fd_ < 0 ? 0 : close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

// "/a/b" is the folder "/a" and the name "b".
std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}
std::string NameOf(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// Makes what was renamed, made or removed in `folder` survive a power cut.
absl::Status SyncFolder(const std::string& folder) {
  const FileDescriptor fd(
      open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return ErrnoStatus("open", folder, errno);
  // Some file systems cannot sync a folder, and say EINVAL.
  if (fsync(fd.get()) != 0 && errno != EINVAL) {
    return ErrnoStatus("sync", folder, errno);
  }
  return absl::OkStatus();
}

absl::Status WriteAll(int fd, const std::string& path,
                      std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoStatus("write", path, errno);
    content.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

// Finds a free name beside `path` for which `make` succeeds; `make` answers an
// errno, EEXIST for a name that is taken.
absl::StatusOr<std::string> MakeTemporary(
    const std::string& path,
    const std::function<int(const std::string&)>& make) {
  constexpr int kAttempts = 1000;
  for (int i = 0; i < kAttempts; ++i) {
    std::string temporary =
        fmt::format("{}/{}{}-{}-{}", FolderOf(path), kTemporaryPrefix,
                    NameOf(path), getpid(), i);
    const int error = make(temporary);
    if (error == 0) return temporary;
    if (error != EEXIST) return ErrnoStatus("make", temporary, error);
  }
  return ErrnoStatus("make a temporary file beside", path, EEXIST);
}

absl::Status WriteTemporary(FileDescriptor& fd, const std::string& temporary,
                            std::string_view content, mode_t mode) {
  if (fchmod(fd.get(), mode) != 0) {
    return ErrnoStatus("set the mode of", temporary, errno);
  }
  LATCHKEY_RETURN_IF_ERROR(WriteAll(fd.get(), temporary, content));
  if (fsync(fd.get()) != 0) return ErrnoStatus("sync", temporary, errno);
  // Some file systems report a failed write only here.
  if (fd.Close() != 0) return ErrnoStatus("close", temporary, errno);
  return absl::OkStatus();
}

// A temporary file beside `path`, durable but for its name.
absl::StatusOr<std::string> WriteBeside(const std::string& path,
                                        std::string_view content, mode_t mode) {
  std::unique_ptr<FileDescriptor> fd;
  LATCHKEY_ASSIGN_OR_RETURN(
      std::string temporary,
      MakeTemporary(path, [&fd](const std::string& name) {
        fd = std::make_unique<FileDescriptor>(
            open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        return fd->get() < 0 ? errno : 0;
      }));
  FaultPoint("durable_file.temporary_made");
  const absl::Status written = WriteTemporary(*fd, temporary, content, mode);
  if (!written.ok()) {
    unlink(temporary.c_str());
    return written;
  }
  FaultPoint("durable_file.temporary_written");
  return temporary;
}

absl::Status IsThere(const std::string& path) {
  return absl::AlreadyExistsError(fmt::format("{}: is there already", path));
}

// Replaces nothing; an errno.
int RenameToNew(const std::string& temporary, const std::string& path) {
  if (renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(),
                RENAME_NOREPLACE) == 0) {
    return 0;
  }
  // NFS, for one, knows links only.
  if (errno != EINVAL && errno != ENOSYS) return errno;
  if (link(temporary.c_str(), path.c_str()) != 0) return errno;
  unlink(temporary.c_str());
  return 0;
}

// Renames `temporary` to `path`, durably; removes it if that fails.
absl::Status Install(const std::string& temporary, const std::string& path) {
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    unlink(temporary.c_str());
    return ErrnoStatus("replace", path, error);
  }
  FaultPoint("durable_file.renamed");
  return SyncFolder(FolderOf(path));
}

}  // namespace

absl::Status EnsureDirectory(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return absl::OkStatus();
    return ErrnoStatus("use as a folder", path, ENOTDIR);
  }
  if (errno != ENOENT) return ErrnoStatus("look at", path, errno);
  const std::string above = FolderOf(path);
  LATCHKEY_RETURN_IF_ERROR(EnsureDirectory(above));
  // Not by a chmod after it: killed before that, the folder would keep what the
  // umask left of its mode, and the next run would take it as it is.
  constexpr mode_t kMode = 0755;
  const mode_t umask_before = umask(~kMode & 0777);
  const int error = mkdir(path.c_str(), kMode) == 0 ? 0 : errno;
  umask(umask_before);
  // Somebody else may have been quicker.
  if (error == EEXIST) return absl::OkStatus();
  if (error != 0) return ErrnoStatus("make the folder", path, error);
  return SyncFolder(above);
}

absl::Status ProbeDirectory(const std::string& path) {
  LATCHKEY_ASSIGN_OR_RETURN(
      const std::string temporary,
      MakeTemporary(path + "/probe", [](const std::string& name) {
        const FileDescriptor fd(
            open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        return fd.get() < 0 ? errno : 0;
      }));
  if (unlink(temporary.c_str()) != 0) {
    return ErrnoStatus("remove", temporary, errno);
  }
  return absl::OkStatus();
}

absl::Status WriteFileDurably(const std::string& path, std::string_view content,
                              mode_t mode) {
  LATCHKEY_ASSIGN_OR_RETURN(const std::string temporary,
                            WriteBeside(path, content, mode));
  return Install(temporary, path);
}

absl::Status WriteNewFileDurably(const std::string& path,
                                 std::string_view content, mode_t mode) {
  LATCHKEY_ASSIGN_OR_RETURN(const std::string temporary,
                            WriteBeside(path, content, mode));
  if (const int error = RenameToNew(temporary, path); error != 0) {
    unlink(temporary.c_str());
    return error == EEXIST ? IsThere(path) : ErrnoStatus("make", path, error);
  }
  FaultPoint("durable_file.renamed");
  return SyncFolder(FolderOf(path));
}

absl::Status ProbeNewFile(const std::string& path) {
  struct stat info = {};
  if (lstat(path.c_str(), &info) == 0) return IsThere(path);
  if (errno != ENOENT) return ErrnoStatus("make", path, errno);
  return ProbeDirectory(FolderOf(path));
}

absl::Status SwapSymlink(const std::string& path, const std::string& target) {
  struct stat info = {};
  if (lstat(path.c_str(), &info) == 0) {
    if (!S_ISLNK(info.st_mode)) {
      return absl::FailedPreconditionError(
          fmt::format("{}: is not a symbolic link; move it away", path));
    }
  } else if (errno != ENOENT) {
    return ErrnoStatus("look at", path, errno);
  }
  LATCHKEY_ASSIGN_OR_RETURN(
      const std::string temporary,
      MakeTemporary(path, [&target](const std::string& name) {
        return symlink(target.c_str(), name.c_str()) == 0 ? 0 : errno;
      }));
  FaultPoint("durable_file.link_made");
  return Install(temporary, path);
}

absl::Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return ErrnoStatus("remove", path, errno);
  }
  return SyncFolder(FolderOf(path));
}

absl::Status RemoveLeftovers(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(path.c_str()),
                                                closedir);
  if (dir == nullptr) return ErrnoStatus("list", path, errno);
  while (const dirent* entry = readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (name.substr(0, kTemporaryPrefix.size()) != kTemporaryPrefix) continue;
    LATCHKEY_RETURN_IF_ERROR(RemoveFile(fmt::format("{}/{}", path, name)));
  }
  return absl::OkStatus();
}

absl::StatusOr<FileLock> FileLock::TryAcquire(const std::string& path) {
  const int fd =
      open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return ErrnoStatus("open", path, errno);
  FileLock lock(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK) {
    return absl::UnavailableError(
        fmt::format("{}: another process holds the lock", path));
  }
  return ErrnoStatus("lock", path, errno);
}

FileLock::FileLock(FileLock&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileLock::~FileLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace latchkey
