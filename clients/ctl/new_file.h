// A file for a secret that is not there yet: opened before anything is minted,
// so that a ticket is not lost for want of a place.

#ifndef LATCHKEY_CLIENTS_CTL_NEW_FILE_H_
#define LATCHKEY_CLIENTS_CTL_NEW_FILE_H_

#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace latchkey {

class NewFile {
 public:
  // Makes the file, which must not exist, with mode 0600. kInvalidArgument if
  // that fails.
  static absl::StatusOr<NewFile> Create(const std::string& path);

  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&&) = delete;
  // A file that was not written is removed.
  ~NewFile();

  // Writes the whole content, durably, and closes. Called once. kInternal.
  absl::Status Write(std::string_view content);

 private:
  NewFile(std::string path, int fd);

  const std::string path_;
  int fd_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_NEW_FILE_H_
