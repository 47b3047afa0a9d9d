// Which of the connections that were given away are open still.

#ifndef LATCHKEY_SERVER_OPEN_CONNECTIONS_H_
#define LATCHKEY_SERVER_OPEN_CONNECTIONS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "server/connection_limits.h"

namespace latchkey {

// Counts sockets that somebody else closes, and does not say so: a descriptor
// that is open still is the same socket as long as its inode is. So a
// connection may be counted for a while after its end, but not longer than
// kLookAgain once that matters. Amortised over the connections, counting one
// costs O(1).
//
// Not safe for concurrent use.
class OpenConnections {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // A limit that is reached has everything looked at, at most this often.
  static constexpr auto kLookAgain = std::chrono::milliseconds(100);

  enum class Verdict { kCounted, kTooManyOfPeer, kTooMany };

  explicit OpenConnections(ConnectionLimits limits) : limits_(limits) {}

  // Counts `fd`, an open socket that comes from `peer`, unless that is one too
  // many. `now` does not go backwards.
  Verdict Add(int fd, const std::string& peer, Time now);

  // How many are open.
  size_t Count();

 private:
  using Peers = std::unordered_map<std::string, size_t>;
  // At the index that is its descriptor.
  struct Connection {
    uint64_t inode = 0;
    Peers::value_type* peer = nullptr;  // null: none is counted
  };
  Verdict Judge(const std::string& peer) const;
  void Forget(Connection& connection);
  void ForgetClosed();

  const ConnectionLimits limits_;
  std::vector<Connection> connections_;
  Peers peers_;  // those that have any
  size_t count_ = 0;
  Time looked_ = Time::min();
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVER_OPEN_CONNECTIONS_H_
