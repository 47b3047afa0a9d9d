// One request over plain HTTP/1.1, as bytes.

#ifndef LATCHKEY_TESTS_TESTING_HTTP_GET_H_
#define LATCHKEY_TESTS_TESTING_HTTP_GET_H_

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <string>

#include "tests/testing/ipv4_address.h"

namespace latchkey_testing {

// Sends `request` to 127.0.0.1:`port` and answers all that comes back until the
// other side hangs up; empty if nobody listens.
inline std::string HttpExchange(int port, const std::string& request) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return "";
  const timeval patience = {.tv_sec = 20, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  const sockaddr_in address = Ipv4Address("127.0.0.1", port);
  std::string answer;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address),
              sizeof(address)) == 0) {
    send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    char bytes[4096];
    for (ssize_t n = 0; (n = recv(fd, bytes, sizeof(bytes), 0)) > 0;) {
      answer.append(bytes, static_cast<size_t>(n));
    }
  }
  close(fd);
  return answer;
}

inline std::string HttpGet(int port, const std::string& path) {
  return HttpExchange(port, "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
}

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_TESTING_HTTP_GET_H_
