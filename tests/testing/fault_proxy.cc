#include "tests/testing/fault_proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "tests/testing/ipv4_address.h"

namespace latchkey_testing {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kTick(5);
constexpr int kLongestDelayMs = 300;
// A fate strikes after as many bytes of the connection, so that it may be in
// the handshake, a request or an answer.
constexpr int kMostBytes = 12'000;
constexpr milliseconds kLostAnswerTime(200);
constexpr milliseconds kSilence(6000);

// Of twenty connections, in any order.
constexpr auto kFates = std::to_array<std::pair<ConnectionFate, int>>({
    {ConnectionFate::kWhole, 6},
    {ConnectionFate::kRefused, 2},
    {ConnectionFate::kSlow, 4},
    {ConnectionFate::kCut, 3},
    {ConnectionFate::kHalfClosed, 1},
    {ConnectionFate::kAnswerLost, 3},
    {ConnectionFate::kSilent, 1},
});

sockaddr_in Loopback(int port) { return Ipv4Address("127.0.0.1", port); }

int NewSocket() { return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); }

bool Bind(int fd, int port) {
  const sockaddr_in address = Loopback(port);
  return bind(fd, reinterpret_cast<const sockaddr*>(&address),
              sizeof address) == 0;
}

int PortOf(int fd) {
  sockaddr_in address = {};
  socklen_t size = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

// The other side is told of a reset.
void Reset(int fd) {
  const linger at_once = {.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(fd);
}

void MakeQuick(int fd) {
  const int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  fcntl(fd, F_SETFL, O_NONBLOCK);
}

}  // namespace

struct FaultProxy::Flow {
  int from;
  int to;
  bool of_server;
  std::string pending = {};
  Clock::time_point due = {};
  bool ended = false;  // `from` says no more, and `to` knows
};

struct FaultProxy::Connection {
  Connection(int client_fd, int server_fd, ConnectionFate its_fate, int bytes)
      : client(client_fd), server(server_fd), fate(its_fate), left(bytes) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    Reset(client);
    Reset(server);
  }

  const int client;
  const int server;
  const ConnectionFate fate;
  // Bytes until the fate strikes.
  int left;
  bool was_struck = false;
  std::optional<Clock::time_point> doom = {};
  std::array<Flow, 2> flows = {
      Flow{.from = client, .to = server, .of_server = false},
      Flow{.from = server, .to = client, .of_server = true}};
};

FaultProxy::FaultProxy(std::vector<int> targets, uint64_t seed)
    : targets_(std::move(targets)), random_(seed), listener_(NewSocket()) {
  if (listener_ < 0 || !Bind(listener_, 0) || listen(listener_, 256) != 0) {
    throw std::runtime_error("the proxy cannot listen");
  }
  fcntl(listener_, F_SETFL, O_NONBLOCK);
  port_ = PortOf(listener_);
  thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
}

FaultProxy::~FaultProxy() {
  thread_.request_stop();
  thread_.join();
  close(listener_);
}

std::map<ConnectionFate, int> FaultProxy::Fates() const {
  const std::lock_guard lock(mutex_);
  return fates_;
}

std::map<ConnectionFate, int> FaultProxy::Strikes() const {
  const std::lock_guard lock(mutex_);
  return strikes_;
}

int FaultProxy::Random(int least, int most) {
  return std::uniform_int_distribution<int>(least, most)(random_);
}

void FaultProxy::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::vector<pollfd> waiting = {{listener_, POLLIN, 0}};
    for (const Connection& one : connections_) {
      for (const Flow& flow : one.flows) {
        if (!flow.ended && flow.pending.empty() && !IsHeld(flow)) {
          waiting.push_back({flow.from, POLLIN, 0});
        }
      }
    }
    poll(waiting.data(), waiting.size(), static_cast<int>(kTick.count()));
    if (waiting.front().revents != 0) Accept();
    std::erase_if(connections_,
                  [this](Connection& one) { return !Serve(one); });
  }
}

void FaultProxy::Accept() {
  const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return;
  const ConnectionFate fate = faults_ ? DrawFate() : ConnectionFate::kWhole;
  {
    const std::lock_guard lock(mutex_);
    ++fates_[fate];
    if (fate == ConnectionFate::kRefused) ++strikes_[fate];
  }
  const int server = fate == ConnectionFate::kRefused ? -1 : Connect();
  if (server < 0) {
    Reset(client);
    return;
  }
  MakeQuick(client);
  MakeQuick(server);
  connections_.emplace_back(client, server, fate, Random(0, kMostBytes));
}

ConnectionFate FaultProxy::DrawFate() {
  if (next_fates_.empty()) {
    for (const auto& [fate, count] : kFates) {
      next_fates_.insert(next_fates_.end(), static_cast<size_t>(count), fate);
    }
    std::ranges::shuffle(next_fates_, random_);
  }
  const ConnectionFate fate = next_fates_.back();
  next_fates_.pop_back();
  return fate;
}

void FaultProxy::Strike(Connection& connection) {
  if (std::exchange(connection.was_struck, true)) return;
  const std::lock_guard lock(mutex_);
  ++strikes_[connection.fate];
}

int FaultProxy::Connect() {
  const size_t count = targets_.size();
  const size_t first =
      in_order_ ? 0
                : static_cast<size_t>(Random(0, static_cast<int>(count) - 1));
  for (size_t i = 0; i < count; ++i) {
    const int fd = NewSocket();
    const sockaddr_in address = Loopback(targets_[(first + i) % count]);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address),
                sizeof address) == 0) {
      return fd;
    }
    close(fd);
  }
  return -1;
}

bool FaultProxy::Serve(Connection& connection) {
  if (connection.doom.has_value() && Clock::now() >= *connection.doom) {
    return false;
  }
  for (Flow& flow : connection.flows) {
    if (!Move(connection, flow)) return false;
  }
  return !connection.flows[0].ended || !connection.flows[1].ended;
}

bool FaultProxy::IsHeld(const Flow& flow) const {
  return flow.of_server && answers_held_;
}

bool FaultProxy::Move(Connection& connection, Flow& flow) {
  if (flow.ended || IsHeld(flow)) return true;
  if (flow.pending.empty() && !Read(connection, flow)) return false;
  if (flow.pending.empty() || Clock::now() < flow.due) return true;
  const ssize_t sent = send(flow.to, flow.pending.data(), flow.pending.size(),
                            MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) return errno == EAGAIN || errno == EINTR;
  flow.pending.erase(0, static_cast<size_t>(sent));
  return true;
}

// Reads one chunk, and lets the connection's fate have it. False: it is cut.
bool FaultProxy::Read(Connection& connection, Flow& flow) {
  std::array<char, 16 * 1024> chunk;
  const ssize_t got = recv(flow.from, chunk.data(), chunk.size(), MSG_DONTWAIT);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) {
    flow.ended = true;
    shutdown(flow.to, SHUT_WR);
    return true;
  }
  const bool counts =
      connection.fate != ConnectionFate::kAnswerLost || flow.of_server;
  if (counts) connection.left -= static_cast<int>(got);
  const bool struck = counts && connection.left < 0;
  switch (connection.fate) {
    case ConnectionFate::kSlow:
      flow.due = Clock::now() + milliseconds(Random(1, kLongestDelayMs));
      Strike(connection);
      break;
    case ConnectionFate::kCut:
      if (!struck) break;
      Strike(connection);
      return false;
    case ConnectionFate::kHalfClosed:
      if (!struck || !flow.of_server) break;
      Strike(connection);
      flow.ended = true;
      shutdown(flow.to, SHUT_WR);
      return true;
    case ConnectionFate::kAnswerLost:
    case ConnectionFate::kSilent:
      if (!struck) break;
      Strike(connection);
      if (!connection.doom.has_value()) {
        connection.doom =
            Clock::now() + (connection.fate == ConnectionFate::kSilent
                                ? kSilence
                                : kLostAnswerTime);
      }
      return true;
    case ConnectionFate::kWhole:
    case ConnectionFate::kRefused:
      break;
  }
  flow.pending.assign(chunk.data(), static_cast<size_t>(got));
  return true;
}

}  // namespace latchkey_testing
