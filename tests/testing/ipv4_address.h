// Socket addresses for tests that speak to sockets themselves.

#ifndef LATCHKEY_TESTS_TESTING_IPV4_ADDRESS_H_
#define LATCHKEY_TESTS_TESTING_IPV4_ADDRESS_H_

#include <string>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace latchkey_testing {

// Of `address` in dotted form.
inline sockaddr_in Ipv4Address(const std::string& address, int port) {
  sockaddr_in result = {};
  result.sin_family = AF_INET;
  result.sin_port = htons(static_cast<in_port_t>(port));
  inet_pton(AF_INET, address.c_str(), &result.sin_addr);
  return result;
}

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_TESTING_IPV4_ADDRESS_H_
