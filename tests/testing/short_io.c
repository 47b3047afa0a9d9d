/* For LD_PRELOAD: reads and writes that a kernel may do too, and seldom does.
 * Each moves at most eight bytes (what an eventfd needs), and every third is
 * interrupted by a signal first. Each kind that was done to a program leaves an
 * empty file in the folder $LATCHKEY_SHORT_IO_MARKS: read-PROGRAM,
 * write-PROGRAM or interrupted-PROGRAM. */

#define _GNU_SOURCE /* program_invocation_short_name */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static const size_t most = 8;

static void mark(atomic_flag* done, const char* what) {
  if (atomic_flag_test_and_set(done)) return;
  const char* folder = getenv("LATCHKEY_SHORT_IO_MARKS");
  if (folder == NULL) return;
  char path[4096];
  snprintf(path, sizeof path, "%s/%s-%s", folder, what,
           program_invocation_short_name);
  const int error = errno;
  const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd >= 0) close(fd);
  errno = error;
}

static int interrupted(void) {
  static atomic_uint calls;
  static atomic_flag marked = ATOMIC_FLAG_INIT;
  if (atomic_fetch_add(&calls, 1) % 3 != 0) return 0;
  mark(&marked, "interrupted");
  errno = EINTR;
  return 1;
}

ssize_t write(int fd, const void* from, size_t size) {
  static atomic_flag marked = ATOMIC_FLAG_INIT;
  if (interrupted()) return -1;
  if (size > most) mark(&marked, "write");
  return syscall(SYS_write, fd, from, size < most ? size : most);
}

ssize_t read(int fd, void* into, size_t size) {
  static atomic_flag marked = ATOMIC_FLAG_INIT;
  if (interrupted()) return -1;
  if (size > most) mark(&marked, "read");
  return syscall(SYS_read, fd, into, size < most ? size : most);
}

ssize_t pread64(int fd, void* into, size_t size, off_t offset) {
  if (interrupted()) return -1;
  return syscall(SYS_pread64, fd, into, size < most ? size : most, offset);
}

ssize_t pread(int fd, void* into, size_t size, off_t offset) {
  return pread64(fd, into, size, offset);
}
