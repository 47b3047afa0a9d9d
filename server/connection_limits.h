// How many connections a gRPC port takes.

#ifndef LATCHKEY_SERVER_CONNECTION_LIMITS_H_
#define LATCHKEY_SERVER_CONNECTION_LIMITS_H_

#include <cstddef>
#include <optional>

#include <absl/status/statusor.h>

namespace latchkey {

struct ConnectionLimits {
  // Of the port.
  size_t all = 2048;
  // Of one peer (services/peer_key.h).
  size_t of_one = 512;
};

// With fewer descriptors there is no broker.
inline constexpr size_t kFewestOpenFiles = 96;

// The limits of each of the two ports in a process that may have `open_files`
// descriptors: as configured, else as many as leave the broker enough for
// itself, up to the defaults of ConnectionLimits. It takes four peers to fill a
// port, unless it is configured otherwise.
//
// kFailedPrecondition if what is configured does not leave enough.
absl::StatusOr<ConnectionLimits> FitConnections(
    std::optional<size_t> configured, std::optional<size_t> of_one,
    size_t open_files);

}  // namespace latchkey

#endif  // LATCHKEY_SERVER_CONNECTION_LIMITS_H_
