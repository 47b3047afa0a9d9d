// Reading small files that others write: credentials and configuration.

#ifndef LATCHKEY_CLIENTS_FILES_READ_FILE_H_
#define LATCHKEY_CLIENTS_FILES_READ_FILE_H_

#include <cstddef>
#include <cstdint>
#include <istream>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

namespace latchkey {

// The whole of a regular file; symbolic links are followed. Errors name the
// path and what the system says: kNotFound, kPermissionDenied, kInvalidArgument
// for what is no regular file or larger than `max_bytes`, else kInternal.
absl::StatusOr<std::string> ReadFileBounded(const std::string& path,
                                            size_t max_bytes);

// The rest of a stream, such as standard input, called `name` in errors:
// kInvalidArgument if it is larger than `max_bytes`, of which no more than one
// byte beyond is read; kInternal if it cannot be read.
absl::StatusOr<std::string> ReadStreamBounded(std::istream& stream,
                                              std::string_view name,
                                              size_t max_bytes);

// What changes when a file is written or replaced, by rename or by a symbolic
// link to another folder.
struct FileStamp {
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t size = 0;
  int64_t modified_ns = 0;

  bool operator==(const FileStamp&) const = default;
};

// Errors as above.
absl::StatusOr<FileStamp> StampOfFile(const std::string& path);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_FILES_READ_FILE_H_
