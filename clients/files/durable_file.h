// Files that are there whole or not at all, whatever kills the program or the
// machine: written beside their place, made durable, then renamed into it.
//
// Errors name the path and what the system says; kInternal unless told
// otherwise. A killed writer may leave a temporary file beside the target,
// which RemoveLeftovers() removes: writers of one folder hold a FileLock.

#ifndef LATCHKEY_CLIENTS_FILES_DURABLE_FILE_H_
#define LATCHKEY_CLIENTS_FILES_DURABLE_FILE_H_

#include <sys/types.h>

#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace latchkey {

// Makes the folder `path` and what is missing above it, each with mode 0755,
// whatever the umask; the process has another umask for that moment.
absl::Status EnsureDirectory(const std::string& path);

// OK if files can be made in the folder `path`, found out by making one: only
// that sees read-only mounts, quotas and a full disk alike.
absl::Status ProbeDirectory(const std::string& path);

// Puts `content` into `path`, in place of what is there, with exactly `mode`,
// whatever the umask. When it returns OK, the file survives a power cut.
absl::Status WriteFileDurably(const std::string& path, std::string_view content,
                              mode_t mode);

// The same, but kAlreadyExists if anything is at `path`, which stays as it is.
absl::Status WriteNewFileDurably(const std::string& path,
                                 std::string_view content, mode_t mode);

// OK if, as far as can be found out by making a file beside it,
// WriteNewFileDurably(path) would do. kAlreadyExists.
absl::Status ProbeNewFile(const std::string& path);

// Makes `path` a symbolic link to `target`, in place of the link that is there;
// at no moment is there none. kFailedPrecondition if `path` is anything but a
// symbolic link.
absl::Status SwapSymlink(const std::string& path, const std::string& target);

// Removes `path`, which may be missing.
absl::Status RemoveFile(const std::string& path);

// Removes what killed writers left in the folder `path`.
absl::Status RemoveLeftovers(const std::string& path);

// An exclusive lock that ends with its owner, however that ends. The file
// stays: removing it would let two owners lock two files of one name.
class FileLock {
 public:
  // Makes the file if it is missing. kUnavailable if somebody holds the lock.
  static absl::StatusOr<FileLock> TryAcquire(const std::string& path);

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_FILES_DURABLE_FILE_H_
