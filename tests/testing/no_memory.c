/* For LD_PRELOAD: memory that runs out. Of the allocations of a process
 * LATCHKEY_ALLOCATIONS succeed, and none after them. The count begins when the
 * program calls prctl, as ours do first thing: what the libraries do before is
 * nobody's business. With LATCHKEY_ALLOCATIONS_FROM=SIGUSR2 it begins at that
 * signal. */

#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void* __libc_malloc(size_t size);
extern void* __libc_calloc(size_t count, size_t size);
extern void* __libc_realloc(void* block, size_t size);

static atomic_long left = LONG_MAX;
static long granted = LONG_MAX;
static int from_signal;

static int denied(void) {
  if (atomic_load_explicit(&left, memory_order_relaxed) == LONG_MAX) return 0;
  if (atomic_fetch_sub(&left, 1) > 0) return 0;
  errno = ENOMEM;
  return 1;
}

static void begin(int signal) {
  (void)signal;
  atomic_store(&left, granted);
}

__attribute__((constructor)) static void start(void) {
  const char* count = getenv("LATCHKEY_ALLOCATIONS");
  const char* from = getenv("LATCHKEY_ALLOCATIONS_FROM");
  if (count == NULL) return;
  granted = strtol(count, NULL, 10);
  from_signal = from != NULL && strcmp(from, "SIGUSR2") == 0;
  if (from_signal) signal(SIGUSR2, begin);
}

int prctl(int option, unsigned long a, unsigned long b, unsigned long c,
          unsigned long d) {
  if (!from_signal && atomic_load(&left) == LONG_MAX) begin(0);
  return (int)syscall(SYS_prctl, option, a, b, c, d);
}

void* malloc(size_t size) { return denied() ? NULL : __libc_malloc(size); }
void* calloc(size_t count, size_t size) {
  return denied() ? NULL : __libc_calloc(count, size);
}
void* realloc(void* block, size_t size) {
  return denied() ? NULL : __libc_realloc(block, size);
}
