// A file descriptor that somebody owns.

#ifndef LATCHKEY_SERVER_OWNED_FD_H_
#define LATCHKEY_SERVER_OWNED_FD_H_

#include <unistd.h>

#include <utility>

namespace latchkey {

// Closes it at its end. -1 is none.
class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.Release()) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    if (this != &other) Close();
    fd_ = other.Release();
    return *this;
  }
  OwnedFd(const OwnedFd&) = delete;
  OwnedFd& operator=(const OwnedFd&) = delete;
  ~OwnedFd() { Close(); }

  int get() const { return fd_; }
  bool IsOpen() const { return fd_ >= 0; }
  // It is the caller's from now on.
  int Release() { return std::exchange(fd_, -1); }
  void Close() {
    if (fd_ >= 0) close(Release());
  }

 private:
  int fd_ = -1;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVER_OWNED_FD_H_
