/* For LD_PRELOAD: reads and writes that a kernel may do too, and seldom does.
 * Each moves at most eight bytes (what an eventfd needs), and every third is
 * interrupted by a signal first. */

#include <errno.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static const size_t most = 8;

static int interrupted(void) {
  static atomic_uint calls;
  if (atomic_fetch_add(&calls, 1) % 3 != 0) return 0;
  errno = EINTR;
  return 1;
}

ssize_t write(int fd, const void* from, size_t size) {
  if (interrupted()) return -1;
  return syscall(SYS_write, fd, from, size < most ? size : most);
}

ssize_t read(int fd, void* into, size_t size) {
  if (interrupted()) return -1;
  return syscall(SYS_read, fd, into, size < most ? size : most);
}

ssize_t pread64(int fd, void* into, size_t size, off_t offset) {
  if (interrupted()) return -1;
  return syscall(SYS_pread64, fd, into, size < most ? size : most, offset);
}

ssize_t pread(int fd, void* into, size_t size, off_t offset) {
  return pread64(fd, into, size, offset);
}
