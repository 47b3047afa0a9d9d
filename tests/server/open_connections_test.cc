#include "server/open_connections.h"

#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include <gmock/gmock.h>

#include "server/owned_fd.h"

namespace latchkey {
namespace {

using Verdict = OpenConnections::Verdict;

OwnedFd Socket() { return OwnedFd(socket(AF_INET, SOCK_STREAM, 0)); }

class OpenConnectionsTest : public ::testing::Test {
 protected:
  Verdict Add(const OwnedFd& socket, const std::string& peer) {
    return open_.Add(socket.get(), peer, now_);
  }

  OpenConnections open_{{.all = 4, .of_one = 2}};
  OpenConnections::Time now_{std::chrono::hours(1)};
};

TEST_F(OpenConnectionsTest, OnePeerHasItsShareAndAllHaveTheWhole) {
  std::vector<OwnedFd> sockets;
  const auto add = [&](const std::string& peer) {
    sockets.push_back(Socket());
    return Add(sockets.back(), peer);
  };
  EXPECT_EQ(add("10.0.0.1"), Verdict::kCounted);
  EXPECT_EQ(add("10.0.0.1"), Verdict::kCounted);
  EXPECT_EQ(add("10.0.0.1"), Verdict::kTooManyOfPeer);
  EXPECT_EQ(add("10.0.0.2"), Verdict::kCounted);
  EXPECT_EQ(add("10.0.0.3"), Verdict::kCounted);
  EXPECT_EQ(add("10.0.0.4"), Verdict::kTooMany);
  EXPECT_EQ(open_.Count(), 4U);
}

TEST_F(OpenConnectionsTest, OneThatWasClosedIsForgottenOnceThatMatters) {
  OwnedFd gone = Socket();
  const OwnedFd stays = Socket();
  const OwnedFd newcomer = Socket();
  EXPECT_EQ(Add(gone, "10.0.0.1"), Verdict::kCounted);
  EXPECT_EQ(Add(stays, "10.0.0.1"), Verdict::kCounted);
  EXPECT_EQ(Add(newcomer, "10.0.0.1"), Verdict::kTooManyOfPeer);
  gone.Close();
  // It looked just now.
  EXPECT_EQ(Add(newcomer, "10.0.0.1"), Verdict::kTooManyOfPeer);
  now_ += OpenConnections::kLookAgain;
  EXPECT_EQ(Add(newcomer, "10.0.0.1"), Verdict::kCounted);
  EXPECT_EQ(open_.Count(), 2U);
}

TEST_F(OpenConnectionsTest,
       ANumberThatNamesSomethingElseNowIsNotTheConnection) {
  OwnedFd gone = Socket();
  const int number = gone.get();
  EXPECT_EQ(Add(gone, "10.0.0.1"), Verdict::kCounted);
  gone.Close();
  const OwnedFd other = Socket();
  ASSERT_EQ(other.get(), number);
  EXPECT_EQ(open_.Count(), 0U) << "another socket";

  EXPECT_EQ(Add(other, "10.0.0.2"), Verdict::kCounted);
  ASSERT_EQ(dup2(STDERR_FILENO, number), number);
  EXPECT_EQ(open_.Count(), 0U) << "no socket";
}

TEST_F(OpenConnectionsTest, ANumberThatComesAgainIsOneConnection) {
  // Without a look: the clock stands still after the first.
  for (int i = 0; i < 10; ++i) {
    const OwnedFd socket = Socket();
    EXPECT_EQ(Add(socket, i % 2 == 0 ? "10.0.0.1" : "10.0.0.2"),
              Verdict::kCounted);
  }
  EXPECT_EQ(open_.Count(), 0U);
}

}  // namespace
}  // namespace latchkey
