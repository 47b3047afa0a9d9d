#include "server/connection_limits.h"

#include <algorithm>

#include <absl/status/status.h>
#include <fmt/format.h>

namespace latchkey {
namespace {

constexpr size_t kPorts = 2;
// Files, watches, a scraper, gRPC's own, and a hundred connections to the API
// server; and what it comes to live with where it cannot have that.
constexpr size_t kOwnFiles = 256;
constexpr size_t kFewestOwnFiles = 64;

}  // namespace

absl::StatusOr<ConnectionLimits> FitConnections(
    std::optional<size_t> configured, std::optional<size_t> of_one,
    size_t open_files) {
  const size_t own = std::clamp(open_files / 2, kFewestOwnFiles, kOwnFiles);
  const size_t left = open_files > own ? (open_files - own) / kPorts : 0;
  ConnectionLimits limits;
  limits.all = configured.value_or(std::min(limits.all, left));
  if (limits.all > left || limits.all == 0) {
    return absl::FailedPreconditionError(fmt::format(
        "limits.connections: {} on each of {} ports, and {} files of the "
        "broker's own, are more than the {} that this process may have open "
        "(ulimit -n)",
        limits.all, kPorts, own, open_files));
  }
  limits.of_one = std::min(of_one.value_or((limits.all + 3) / 4), limits.all);
  return limits;
}

}  // namespace latchkey
