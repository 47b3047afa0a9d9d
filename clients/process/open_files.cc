#include "clients/process/open_files.h"

#include <sys/resource.h>

#include <limits>
#include <utility>

#include <fmt/format.h>

namespace latchkey {

absl::Status AllowOpenFiles(size_t least) {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return absl::OkStatus();
  const rlim_t before = std::exchange(limit.rlim_cur, limit.rlim_max);
  const rlim_t now =
      setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before;
  if (now >= least) return absl::OkStatus();
  return absl::FailedPreconditionError(fmt::format(
      "this process may have {} files open at a time, and needs {} (ulimit -n)",
      now, least));
}

size_t OpenFilesAllowed() {
  rlimit limit = {};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0
             ? static_cast<size_t>(limit.rlim_cur)
             : std::numeric_limits<size_t>::max();
}

}  // namespace latchkey
