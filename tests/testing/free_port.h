// Ports for programs that must be told theirs before they listen.

#ifndef LATCHKEY_TESTS_TESTING_FREE_PORT_H_
#define LATCHKEY_TESTS_TESTING_FREE_PORT_H_

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <stdexcept>

#include "tests/testing/ipv4_address.h"

namespace latchkey_testing {

// A port of 127.0.0.1 that nobody listens on now, below those that the kernel
// gives to outgoing connections: of those one might be a client's before the
// program listens, or between its death and its next start.
inline int FreePort() {
  int first_of_clients = 0;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first_of_clients;
  if (first_of_clients < 4000) first_of_clients = 32768;
  std::random_device random;
  std::uniform_int_distribution<int> draw(
      std::max(first_of_clients - 13000, 2000), first_of_clients - 1);
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const int port = draw(random);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = Ipv4Address("127.0.0.1", port);
    const bool bound = bind(fd, reinterpret_cast<const sockaddr*>(&address),
                            sizeof address) == 0;
    close(fd);
    if (bound) return port;
  }
  throw std::runtime_error("no port is free");
}

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_TESTING_FREE_PORT_H_
