// The sockets of one TCP port.

#ifndef LATCHKEY_SERVER_LISTENING_SOCKETS_H_
#define LATCHKEY_SERVER_LISTENING_SOCKETS_H_

#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "server/owned_fd.h"

namespace latchkey {

struct ListeningSockets {
  // At least one. They do not block.
  std::vector<OwnedFd> sockets;
  int port = 0;
};

// Listens on every address of `listen`, which is HOST:PORT, with an IPv6
// address in brackets. 0.0.0.0 and [::] are all addresses, of IPv4 and IPv6;
// port 0 is any free one, and the same for all of a name's addresses. Nobody
// else gets the port while these are open. What is accepted does not wait to
// fill packets, and gives a peer up that acknowledges nothing for
// `user_timeout_ms`.
//
// kUnavailable if there is not one address that can be listened on.
absl::StatusOr<ListeningSockets> ListenOn(const std::string& listen,
                                          int user_timeout_ms);

}  // namespace latchkey

#endif  // LATCHKEY_SERVER_LISTENING_SOCKETS_H_
