#include "server/connection_gate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "clients/log/event_log.h"
#include "core/status_macros.h"
#include "services/peer_key.h"

namespace latchkey {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// After an accept that failed for lack of something.
constexpr milliseconds kPause{100};
// Between two lines of the log about one reason.
constexpr std::chrono::seconds kLogPause{10};
// Taken from one socket before the next one, or the end, is looked at.
constexpr int kMostAtOnce = 64;
constexpr size_t kReasons = 3;

OwnedFd OpenSpare() { return OwnedFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

// The reset leaves nothing behind here; without it the system would keep the
// end of each connection for a minute.
void Reset(OwnedFd socket) {
  const linger reset = {.l_onoff = 1, .l_linger = 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

// For poll(). Rounded up, so as not to come too early again and again.
int MillisTo(std::optional<steady_clock::time_point> time) {
  if (!time.has_value()) return -1;
  const auto left =
      std::chrono::ceil<milliseconds>(*time - steady_clock::now());
  return std::max(static_cast<int>(left.count()), 0);
}

struct Accepted {
  OwnedFd socket;
  sockaddr_storage peer = {};
};

// Without a socket: errno says why.
Accepted Accept(const OwnedFd& listening) {
  Accepted accepted;
  socklen_t size = sizeof(accepted.peer);
  accepted.socket = OwnedFd(accept4(listening.get(),
                                    reinterpret_cast<sockaddr*>(&accepted.peer),
                                    &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
  return accepted;
}

// Errors of one connection, which is gone with them: accept(2).
bool IsOfTheConnection(int error) {
  switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case EOPNOTSUPP:
      return true;
    default:
      return false;
  }
}

}  // namespace

const char* ConnectionRefusalName(ConnectionRefusal refusal) {
  switch (refusal) {
    case ConnectionRefusal::kPeer:
      return "peer";
    case ConnectionRefusal::kPort:
      return "port";
    case ConnectionRefusal::kDescriptors:
      break;
  }
  return "descriptors";
}

// Says the first refusal for a reason at once, and those that follow in one
// line when a while is over. Of the gate's thread.
class ConnectionGate::RefusalLog {
 public:
  explicit RefusalLog(const std::string& port) : port_(port) {}

  void Note(ConnectionRefusal why, const std::string& peer) {
    Line& line = lines_[static_cast<size_t>(why)];
    ++line.count;
    line.peer = peer;
    WriteWhatIsDue();
  }
  // Newcomers can be neither taken nor refused.
  void NoteWaiting(int error) {
    const auto now = steady_clock::now();
    if (now < waiting_due_) return;
    waiting_due_ = now + kLogPause;
    LogEvent(
        LogLevel::kError, "connections wait",
        {{"port", port_}, {"error", std::generic_category().message(error)}});
  }
  // Answers when to come again; nullopt if there is nothing to write.
  std::optional<steady_clock::time_point> WriteWhatIsDue() {
    std::optional<steady_clock::time_point> next;
    for (size_t i = 0; i < kReasons; ++i) {
      Line& line = lines_[i];
      if (line.count == 0) continue;
      if (const auto now = steady_clock::now(); now >= line.due) {
        line.due = now + kLogPause;
        Write(static_cast<ConnectionRefusal>(i), line);
      } else {
        next = std::min(next.value_or(line.due), line.due);
      }
    }
    return next;
  }

 private:
  struct Line {
    uint64_t count = 0;
    std::string peer;
    steady_clock::time_point due;
  };
  void Write(ConnectionRefusal why, Line& line) const {
    LogEvent(LogLevel::kWarning, "connections refused",
             {{"port", port_},
              {"limit", ConnectionRefusalName(why)},
              {"count", std::to_string(std::exchange(line.count, 0))},
              {"last_peer", line.peer}});
  }

  const std::string& port_;
  std::array<Line, kReasons> lines_;
  steady_clock::time_point waiting_due_;
};

absl::StatusOr<std::unique_ptr<ConnectionGate>> ConnectionGate::Start(
    const std::string& listen, Options options) {
  LATCHKEY_ASSIGN_OR_RETURN(ListeningSockets listening,
                            ListenOn(listen, options.user_timeout_ms));
  OwnedFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.IsOpen()) {
    return absl::UnavailableError(
        "no descriptor is left to listen with (ulimit -n)");
  }
  return std::unique_ptr<ConnectionGate>(new ConnectionGate(
      std::move(listening), std::move(wake), std::move(options)));
}

ConnectionGate::ConnectionGate(ListeningSockets listening, OwnedFd wake,
                               Options options)
    : options_(std::move(options)),
      sockets_(std::move(listening.sockets)),
      port_(listening.port),
      wake_(std::move(wake)),
      spare_(OpenSpare()),
      open_(options_.limits),
      thread_([this](const std::stop_token& end) { Run(end); }) {}

ConnectionGate::~ConnectionGate() { Close(); }

size_t ConnectionGate::CountOpen() {
  const MutexLock lock(mutex_);
  return open_.Count();
}

void ConnectionGate::Close() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  eventfd_write(wake_.get(), 1);
  thread_.join();
  sockets_.clear();
  spare_.Close();
}

void ConnectionGate::Run(const std::stop_token& end) {
  RefusalLog log(options_.name);
  std::vector<pollfd> waited = {{.fd = wake_.get(), .events = POLLIN}};
  for (const OwnedFd& socket : sockets_) {
    waited.push_back({.fd = socket.get(), .events = POLLIN});
  }
  bool pausing = false;
  while (!end.stop_requested()) {
    auto until = log.WriteWhatIsDue();
    if (pausing) until = steady_clock::now() + kPause;
    // In a pause for the end only.
    if (poll(waited.data(), pausing ? 1 : waited.size(), MillisTo(until)) < 0) {
      // Whoever has no descriptors left may not even poll.
      std::this_thread::sleep_for(kPause);
    }
    pausing = false;
    for (const OwnedFd& socket : sockets_) {
      if (end.stop_requested()) return;
      if (!AcceptSome(socket, log)) pausing = true;
    }
  }
}

bool ConnectionGate::AcceptSome(const OwnedFd& listening, RefusalLog& log) {
  for (int i = 0; i < kMostAtOnce; ++i) {
    Accepted accepted = Accept(listening);
    if (accepted.socket.IsOpen()) {
      LetIn(std::move(accepted.socket), PeerKey(accepted.peer), log);
      continue;
    }
    const int error = errno;
    if (error == EAGAIN || error == EWOULDBLOCK) return true;
    if (IsOfTheConnection(error)) continue;
    const bool no_descriptor = error == EMFILE || error == ENFILE;
    if (no_descriptor && RefuseWithTheSpare(listening, log)) continue;
    log.NoteWaiting(error);
    return false;
  }
  return true;
}

void ConnectionGate::LetIn(OwnedFd socket, const std::string& peer,
                           RefusalLog& log) {
  auto verdict = OpenConnections::Verdict::kCounted;
  {
    const MutexLock lock(mutex_);
    verdict = open_.Add(socket.get(), peer, steady_clock::now());
  }
  switch (verdict) {
    case OpenConnections::Verdict::kCounted:
      options_.take(socket.Release());
      return;
    case OpenConnections::Verdict::kTooManyOfPeer:
      Refuse(std::move(socket), ConnectionRefusal::kPeer, peer, log);
      return;
    case OpenConnections::Verdict::kTooMany:
      Refuse(std::move(socket), ConnectionRefusal::kPort, peer, log);
      return;
  }
}

// Somebody who waits in vain could go to another replica meanwhile.
bool ConnectionGate::RefuseWithTheSpare(const OwnedFd& listening,
                                        RefusalLog& log) {
  spare_.Close();
  Accepted accepted = Accept(listening);
  const bool nobody = !accepted.socket.IsOpen() && errno == EAGAIN;
  const bool somebody = accepted.socket.IsOpen();
  if (somebody) {
    Refuse(std::move(accepted.socket), ConnectionRefusal::kDescriptors,
           PeerKey(accepted.peer), log);
  }
  spare_ = OpenSpare();
  return nobody || somebody;
}

void ConnectionGate::Refuse(OwnedFd socket, ConnectionRefusal why,
                            const std::string& peer, RefusalLog& log) {
  options_.on_refused(why);
  log.Note(why, peer);
  Reset(std::move(socket));
}

}  // namespace latchkey
