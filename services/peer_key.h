// Which peers are one caller.

#ifndef LATCHKEY_SERVICES_PEER_KEY_H_
#define LATCHKEY_SERVICES_PEER_KEY_H_

#include <sys/socket.h>

#include <string>
#include <string_view>

namespace latchkey {

// gRPC's name of a peer ("ipv4:10.0.0.7:51234", "ipv6:%5B2001:db8::1%5D:9")
// without what a machine can change at will: an IPv4 address, or the /64 of an
// IPv6 address. Anything else, up to 64 characters of it, is a peer of its own.
std::string PeerKey(std::string_view peer);
// The same of a socket's peer; empty if that has no IP address.
std::string PeerKey(const sockaddr_storage& peer);

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_PEER_KEY_H_
