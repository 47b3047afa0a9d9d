#include "services/peer_key.h"

#include <array>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace latchkey {
namespace {

constexpr size_t kMaxOther = 64;
constexpr size_t kMaxAddress = 64;

// "%5B" and "%5D", as newer gRPC writes brackets.
std::string Unescaped(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size() && plain.size() < kMaxAddress; ++i) {
    const std::string_view three = text.substr(i, 3);
    if (three == "%5B" || three == "%5D") {
      plain.push_back(three == "%5B" ? '[' : ']');
      i += 2;
    } else {
      plain.push_back(text[i]);
    }
  }
  return plain;
}

std::string Text(int family, const void* address) {
  std::array<char, INET6_ADDRSTRLEN> text = {};
  inet_ntop(family, address, text.data(), text.size());
  return text.data();
}

std::string KeyOfIpv6(in6_addr ip) {
  constexpr size_t kIpv4InIpv6 = 12;
  constexpr size_t kNetwork = 8;
  if (IN6_IS_ADDR_V4MAPPED(&ip)) {
    return Text(AF_INET, &ip.s6_addr[kIpv4InIpv6]);
  }
  std::memset(&ip.s6_addr[kNetwork], 0, sizeof(ip) - kNetwork);
  return Text(AF_INET6, &ip) + "/64";
}

// Empty if `address` is no IPv6 address.
std::string KeyOfIpv6(std::string address) {
  if (const size_t zone = address.find('%'); zone != std::string::npos) {
    address.resize(zone);
  }
  in6_addr ip = {};
  if (inet_pton(AF_INET6, address.c_str(), &ip) != 1) return "";
  return KeyOfIpv6(ip);
}

}  // namespace

std::string PeerKey(std::string_view peer) {
  const std::string_view scheme = peer.substr(0, 5);
  if (scheme == "ipv4:") {
    return std::string(peer.substr(5, peer.rfind(':') - 5));
  }
  if (scheme == "ipv6:") {
    const std::string plain = Unescaped(peer.substr(5));
    const size_t end = plain.find(']');
    if (plain.substr(0, 1) == "[" && end != std::string::npos) {
      const std::string key = KeyOfIpv6(plain.substr(1, end - 1));
      if (!key.empty()) return key;
    }
  }
  return std::string(peer.substr(0, kMaxOther));
}

std::string PeerKey(const sockaddr_storage& peer) {
  if (peer.ss_family == AF_INET) {
    return Text(AF_INET,
                &reinterpret_cast<const sockaddr_in*>(&peer)->sin_addr);
  }
  if (peer.ss_family == AF_INET6) {
    return KeyOfIpv6(reinterpret_cast<const sockaddr_in6*>(&peer)->sin6_addr);
  }
  return "";
}

}  // namespace latchkey
