// The gate alone, with real sockets.

#include "server/connection_gate.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "tests/testing/ipv4_address.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/wait_until.h"

namespace latchkey {
namespace {

using latchkey_testing::Ipv4Address;
using latchkey_testing::IsOk;
using latchkey_testing::StatusIs;
using latchkey_testing::WaitUntil;
using ::testing::HasSubstr;

// Greets whom it lets in with a byte, and holds the connection.
class Host {
 public:
  explicit Host(ConnectionLimits limits,
                const std::string& listen = "127.0.0.1:0") {
    auto gate = ConnectionGate::Start(
        listen, {.limits = limits,
                 .name = "test",
                 .take = [this](int fd) { Take(OwnedFd(fd)); },
                 .on_refused =
                     [this](ConnectionRefusal why) {
                       const MutexLock lock(mutex_);
                       ++refused_[why];
                     }});
    if (!gate.ok()) throw std::runtime_error(gate.status().ToString());
    gate_ = *std::move(gate);
  }

  ConnectionGate& gate() { return *gate_; }
  int port() const { return gate_->port(); }
  int Refused(ConnectionRefusal why) {
    const MutexLock lock(mutex_);
    return refused_[why];
  }
  size_t Taken() {
    const MutexLock lock(mutex_);
    return guests_.size();
  }
  int LastGuest() {
    const MutexLock lock(mutex_);
    return guests_.back().get();
  }
  void CloseOne() {
    const MutexLock lock(mutex_);
    guests_.erase(guests_.begin());
  }

 private:
  void Take(OwnedFd guest) {
    const char greeting = 'x';
    EXPECT_EQ(send(guest.get(), &greeting, 1, MSG_NOSIGNAL), 1);
    const MutexLock lock(mutex_);
    guests_.push_back(std::move(guest));
  }

  Mutex mutex_;
  std::vector<OwnedFd> guests_ ABSL_GUARDED_BY(mutex_);
  std::map<ConnectionRefusal, int> refused_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<ConnectionGate> gate_;  // ends first
};

// Made before it is used: making it takes a descriptor, and using it none.
class Client {
 public:
  explicit Client(const std::string& from = "127.0.0.1")
      : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_in own = Ipv4Address(from, 0);
    EXPECT_EQ(bind(socket_.get(), reinterpret_cast<const sockaddr*>(&own),
                   sizeof(own)),
              0);
    const timeval patience = {.tv_sec = 20, .tv_usec = 0};
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience,
               sizeof(patience));
  }
  bool Connect(int port) const {
    const sockaddr_in there = Ipv4Address("127.0.0.1", port);
    return connect(socket_.get(), reinterpret_cast<const sockaddr*>(&there),
                   sizeof(there)) == 0;
  }
  // False: it was closed.
  bool IsGreeted() const {
    char greeting = 0;
    return recv(socket_.get(), &greeting, 1, 0) == 1;
  }
  bool GetsIn(int port) const { return Connect(port) && IsGreeted(); }

 private:
  OwnedFd socket_;
};

// The first that gets in within the deadline; those that did not are gone.
bool SomebodyGetsIn(int port, std::vector<Client>& guests,
                    const std::string& from = "127.0.0.1") {
  return WaitUntil([&] {
    Client client(from);
    if (!client.GetsIn(port)) return false;
    guests.push_back(std::move(client));
    return true;
  });
}

// While it lives, this process gets no descriptor from `limit` on.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(int limit) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit now = {.rlim_cur = static_cast<rlim_t>(limit),
                        .rlim_max = before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &now), 0);
  }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;
  ~DescriptorLimit() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_ = {};
};

int LowestFree() { return OwnedFd(open("/dev/null", O_RDONLY)).get(); }

// Of this process, without opening one.
int CountOpenFiles() {
  constexpr int kMost = 1024;
  int count = 0;
  for (int fd = 0; fd < kMost; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) ++count;
  }
  return count;
}

int OptionOf(int fd, int level, int option) {
  int value = -1;
  socklen_t size = sizeof(value);
  getsockopt(fd, level, option, &value, &size);
  return value;
}

TEST(ConnectionGateTest, WhatIsLetInIsAsGrpcWouldHaveIt) {
  Host host({});
  const Client client;
  ASSERT_TRUE(client.GetsIn(host.port()));
  ASSERT_TRUE(WaitUntil([&] { return host.Taken() == 1; }));
  const int fd = host.LastGuest();
  EXPECT_NE(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_EQ(OptionOf(fd, IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(OptionOf(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 20'000);
  EXPECT_EQ(host.gate().CountOpen(), 1U);
}

TEST(ConnectionGateTest, OnePeerHasNoMoreThanItsShare) {
  Host host({.all = 100, .of_one = 3});
  std::vector<Client> guests(4);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(guests[i].GetsIn(host.port()));
  EXPECT_FALSE(guests[3].GetsIn(host.port()));
  EXPECT_EQ(host.Refused(ConnectionRefusal::kPeer), 1);
  EXPECT_TRUE(Client("127.0.0.2").GetsIn(host.port()));
  // One that ends leaves room for one.
  host.CloseOne();
  EXPECT_TRUE(SomebodyGetsIn(host.port(), guests));
  EXPECT_FALSE(Client().GetsIn(host.port()));
}

TEST(ConnectionGateTest, AllHaveNoMoreThanThePort) {
  Host host({.all = 4, .of_one = 2});
  std::vector<Client> guests;
  for (int i = 0; i < 4; ++i) {
    guests.emplace_back(fmt::format("127.0.0.{}", 2 + i));
    EXPECT_TRUE(guests.back().GetsIn(host.port()));
  }
  EXPECT_FALSE(Client("127.0.0.9").GetsIn(host.port()));
  EXPECT_EQ(host.Refused(ConnectionRefusal::kPort), 1);
  EXPECT_EQ(host.gate().CountOpen(), 4U);
  host.CloseOne();
  EXPECT_EQ(host.gate().CountOpen(), 3U);
  EXPECT_TRUE(SomebodyGetsIn(host.port(), guests, "127.0.0.9"));
  EXPECT_FALSE(Client("127.0.0.10").GetsIn(host.port()));
}

TEST(ConnectionGateTest, WithoutADescriptorNewcomersAreToldAndThenLetIn) {
  Host host({});
  const std::vector<Client> clients(3);
  {
    const DescriptorLimit limit(LowestFree());
    for (const Client& client : clients) {
      EXPECT_FALSE(client.GetsIn(host.port()));
    }
    EXPECT_EQ(host.Refused(ConnectionRefusal::kDescriptors), 3);
  }
  EXPECT_TRUE(Client().GetsIn(host.port()));
}

TEST(ConnectionGateTest, WithoutAnyDescriptorNewcomersWaitUntilThereAreSome) {
  Host host({});
  const std::vector<Client> clients(3);
  const Client first;
  ASSERT_TRUE(first.GetsIn(host.port()));
  const int files = CountOpenFiles();
  {
    const DescriptorLimit none(0);
    for (const Client& client : clients) {
      EXPECT_TRUE(client.Connect(host.port()));
    }
    // It has tried, with the descriptor that it keeps for this too.
    EXPECT_TRUE(WaitUntil([&] { return CountOpenFiles() == files - 1; }));
    EXPECT_EQ(host.Taken(), 1U);
  }
  for (const Client& client : clients) EXPECT_TRUE(client.IsGreeted());
}

TEST(ConnectionGateTest, WithoutAnyDescriptorItCloses) {
  Host host({});
  const Client client;
  const DescriptorLimit none(0);
  EXPECT_TRUE(client.Connect(host.port()));
  host.gate().Close();
  EXPECT_FALSE(client.IsGreeted());
}

TEST(ConnectionGateTest, ClosedItTakesNobodyAndLeavesTheOthersAlone) {
  Host host({});
  const int port = host.port();
  const Client guest;
  ASSERT_TRUE(guest.GetsIn(port));
  host.gate().Close();
  EXPECT_FALSE(Client().Connect(port));
  const char byte = 'y';
  EXPECT_EQ(send(host.LastGuest(), &byte, 1, MSG_NOSIGNAL), 1);
  EXPECT_TRUE(guest.IsGreeted());
  const Host next({}, fmt::format("127.0.0.1:{}", port));
  EXPECT_EQ(next.port(), port) << "it is free at once";
}

TEST(ConnectionGateTest, APortThatIsTakenIsSaid) {
  Host host({});
  for (const std::string& listen :
       {fmt::format("127.0.0.1:{}", host.port()),
        fmt::format("0.0.0.0:{}", host.port()), std::string("192.0.2.99:0"),
        std::string("no.such.host.invalid:0"), std::string("::1:0"),
        std::string("nothing")}) {
    EXPECT_THAT(ConnectionGate::Start(listen, {}),
                StatusIs(absl::StatusCode::kUnavailable,
                         HasSubstr("cannot listen on " + listen)));
  }
}

// 1 if it connects, 0 if not, -1 if this system has no IPv6.
int ConnectsByIpv6(int port) {
  const OwnedFd client(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 there = {};
  there.sin6_family = AF_INET6;
  there.sin6_addr = in6addr_loopback;
  if (!client.IsOpen() ||
      bind(client.get(), reinterpret_cast<const sockaddr*>(&there),
           sizeof(there)) != 0) {
    return -1;
  }
  there.sin6_port = htons(static_cast<in_port_t>(port));
  return connect(client.get(), reinterpret_cast<const sockaddr*>(&there),
                 sizeof(there)) == 0
             ? 1
             : 0;
}

TEST(ConnectionGateTest, EveryAddressIsOfBothFamilies) {
  if (ConnectsByIpv6(1) < 0) GTEST_SKIP() << "no IPv6 here";
  for (const char* listen : {"0.0.0.0:0", "[::]:0"}) {
    SCOPED_TRACE(listen);
    Host host({.all = 100, .of_one = 1}, listen);
    const Client client;
    EXPECT_TRUE(client.GetsIn(host.port()));
    EXPECT_FALSE(Client().GetsIn(host.port())) << "one peer, however it comes";
    EXPECT_EQ(ConnectsByIpv6(host.port()), 1);
  }
  Host named({}, "localhost:0");
  EXPECT_TRUE(Client().GetsIn(named.port()));
  // Another program may have the number in the other family.
  bool alone = false;
  for (int i = 0; i < 3 && !alone; ++i) {
    Host ipv6({}, "[::1]:0");
    EXPECT_EQ(ConnectsByIpv6(ipv6.port()), 1);
    Host ipv4({}, "127.0.0.1:0");
    EXPECT_TRUE(Client().GetsIn(ipv4.port()));
    alone = !Client().Connect(ipv6.port()) && ConnectsByIpv6(ipv4.port()) == 0;
  }
  EXPECT_TRUE(alone);
}

}  // namespace
}  // namespace latchkey
