#include "services/peer_key.h"

#include <string>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>

namespace latchkey {
namespace {

TEST(PeerKeyTest, LeavesOutWhatAMachineCanChange) {
  struct Case {
    std::string_view peer;
    std::string_view key;
  };
  const Case cases[] = {
      {"ipv4:10.0.0.7:51234", "10.0.0.7"},
      {"ipv6:[2001:db8:1:2:3:4:5:6]:51234", "2001:db8:1:2::/64"},
      {"ipv6:%5B2001:db8:1:2::1%5D:9", "2001:db8:1:2::/64"},
      {"ipv6:[::1]:9", "::/64"},
      {"ipv6:[fe80::1%25eth0]:9", "fe80::/64"},
      // The same machine, whichever way it comes.
      {"ipv6:[::ffff:10.0.0.7]:51234", "10.0.0.7"},
      {"unix:", "unix:"},
      {"ipv6:[no address]:9", "ipv6:[no address]:9"},
      {"ipv6:", "ipv6:"},
      {"", ""},
  };
  for (const Case& c : cases) EXPECT_EQ(PeerKey(c.peer), c.key) << c.peer;
}

TEST(PeerKeyTest, ASocketsPeerIsTheSameOne) {
  for (const char* text :
       {"ipv4:10.0.0.7:51234", "ipv6:[2001:db8:1:2:3:4:5:6]:51234",
        "ipv6:[::ffff:10.0.0.7]:51234"}) {
    const std::string peer(text);
    const size_t colon = peer.rfind(':');
    sockaddr_storage address = {};
    if (peer.starts_with("ipv4")) {
      auto* ipv4 = reinterpret_cast<sockaddr_in*>(&address);
      ipv4->sin_family = AF_INET;
      ASSERT_EQ(inet_pton(AF_INET, peer.substr(5, colon - 5).c_str(),
                          &ipv4->sin_addr),
                1);
    } else {
      auto* ipv6 = reinterpret_cast<sockaddr_in6*>(&address);
      ipv6->sin6_family = AF_INET6;
      ASSERT_EQ(inet_pton(AF_INET6, peer.substr(6, colon - 7).c_str(),
                          &ipv6->sin6_addr),
                1);
    }
    EXPECT_EQ(PeerKey(address), PeerKey(peer));
  }
  EXPECT_EQ(PeerKey(sockaddr_storage{}), "");
}

TEST(PeerKeyTest, IsBounded) {
  EXPECT_EQ(PeerKey("unix:" + std::string(10'000, 'x')).size(), 64U);
}

}  // namespace
}  // namespace latchkey
