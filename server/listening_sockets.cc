#include "server/listening_sockets.h"

#include <netdb.h>
#include <sys/socket.h>

#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include <absl/status/status.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace latchkey {
namespace {

// The system cuts it to net.core.somaxconn.
constexpr int kBacklog = 65'535;
// Of port 0, which the first address gets, and the others may not.
constexpr int kDraws = 8;

struct Address {
  sockaddr_storage text = {};
  socklen_t size = 0;

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&text); }
  const sockaddr* get() const {
    return reinterpret_cast<const sockaddr*>(&text);
  }
  // The field of an address of either family, in the order of the network.
  in_port_t& port() {
    return text.ss_family == AF_INET6
               ? reinterpret_cast<sockaddr_in6*>(&text)->sin6_port
               : reinterpret_cast<sockaddr_in*>(&text)->sin_port;
  }
};

Address AddressOf(const addrinfo& found) {
  Address address;
  std::memcpy(&address.text, found.ai_addr, found.ai_addrlen);
  address.size = found.ai_addrlen;
  return address;
}

bool IsEveryAddress(const Address& address) {
  if (address.text.ss_family == AF_INET6) {
    const auto* ipv6 = reinterpret_cast<const sockaddr_in6*>(&address.text);
    return IN6_IS_ADDR_UNSPECIFIED(&ipv6->sin6_addr);
  }
  const auto* ipv4 = reinterpret_cast<const sockaddr_in*>(&address.text);
  return ipv4->sin_addr.s_addr == htonl(INADDR_ANY);
}

Address EveryIpv4Address(in_port_t port) {
  Address address;
  auto* ipv4 = reinterpret_cast<sockaddr_in*>(&address.text);
  ipv4->sin_family = AF_INET;
  ipv4->sin_port = port;
  address.size = sizeof(*ipv4);
  return address;
}

Address EveryIpv6Address(in_port_t port) {
  Address address;
  auto* ipv6 = reinterpret_cast<sockaddr_in6*>(&address.text);
  ipv6->sin6_family = AF_INET6;
  ipv6->sin6_port = port;
  address.size = sizeof(*ipv6);
  return address;
}

// Of HOST:PORT. Empty: none, or none that is known.
std::vector<Address> Resolve(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  if (colon == std::string::npos) return {};
  std::string host = listen.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return {};
  }
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), listen.substr(colon + 1).c_str(), &hints,
                  &found) != 0) {
    return {};
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found,
                                                            freeaddrinfo);
  std::vector<Address> addresses;
  for (const addrinfo* at = list.get(); at != nullptr; at = at->ai_next) {
    addresses.push_back(AddressOf(*at));
  }
  return addresses;
}

bool Set(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

std::optional<OwnedFd> Listen(const Address& address, int user_timeout_ms) {
  const bool ipv6 = address.text.ss_family == AF_INET6;
  OwnedFd fd(socket(address.text.ss_family,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  // What is accepted has these options too. A port may be had again at once
  // after its last owner: not while another one listens.
  const bool listens =
      fd.IsOpen() && Set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1) &&
      Set(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1) &&
      Set(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, user_timeout_ms) &&
      (!ipv6 || Set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY,
                    IsEveryAddress(address) ? 0 : 1)) &&
      bind(fd.get(), address.get(), address.size) == 0 &&
      listen(fd.get(), kBacklog) == 0;
  if (!listens) return std::nullopt;
  return fd;
}

int PortOf(const OwnedFd& socket) {
  Address address;
  address.size = sizeof(address.text);
  getsockname(socket.get(), address.get(), &address.size);
  return ntohs(address.port());
}

class Sockets {
 public:
  explicit Sockets(int user_timeout_ms) : user_timeout_ms_(user_timeout_ms) {}

  void Add(Address address) {
    // A name's other addresses have the port that the first one got.
    if (address.port() == 0) {
      address.port() = htons(static_cast<in_port_t>(listening_.port));
    }
    if (!IsEveryAddress(address)) {
      Open(address);
    } else if (!Open(EveryIpv6Address(address.port()))) {
      Open(EveryIpv4Address(address.port()));  // a system without IPv6
    }
  }
  ListeningSockets Take() && { return std::move(listening_); }

 private:
  bool Open(const Address& address) {
    std::optional<OwnedFd> socket = Listen(address, user_timeout_ms_);
    if (!socket.has_value()) return false;
    listening_.port = PortOf(*socket);
    listening_.sockets.push_back(*std::move(socket));
    return true;
  }

  const int user_timeout_ms_;
  ListeningSockets listening_;
};

}  // namespace

absl::StatusOr<ListeningSockets> ListenOn(const std::string& listen,
                                          int user_timeout_ms) {
  std::vector<Address> addresses = Resolve(listen);
  const bool any_port = !addresses.empty() && addresses.front().port() == 0;
  ListeningSockets listening;
  for (int draw = 0; draw < (any_port ? kDraws : 1); ++draw) {
    Sockets sockets(user_timeout_ms);
    for (const Address& address : addresses) sockets.Add(address);
    ListeningSockets drawn = std::move(sockets).Take();
    if (drawn.sockets.size() > listening.sockets.size()) {
      listening = std::move(drawn);
    }
    // Fewer: one of them has the port taken, or is not ours at all.
    if (listening.sockets.size() >= addresses.size()) break;
  }
  if (listening.sockets.empty()) {
    return absl::UnavailableError(fmt::format(
        "cannot listen on {}: is the port taken, or the address not ours?",
        listen));
  }
  return listening;
}

}  // namespace latchkey
