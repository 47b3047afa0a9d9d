// The door of a gRPC port: who may connect, before anything else is done.
//
// gRPC takes every connection that comes, and stops listening for good when it
// cannot have a descriptor for one. The gate listens in its place and hands it
// what it lets in.

#ifndef LATCHKEY_SERVER_CONNECTION_GATE_H_
#define LATCHKEY_SERVER_CONNECTION_GATE_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <absl/status/statusor.h>

#include "core/mutex.h"
#include "server/connection_limits.h"
#include "server/listening_sockets.h"
#include "server/open_connections.h"
#include "server/owned_fd.h"

namespace latchkey {

// Why a connection was closed as soon as it came.
enum class ConnectionRefusal {
  kPeer,         // its peer has as many as one may have
  kPort,         // the port has
  kDescriptors,  // the process has no descriptor for it
};
// "peer", "port", "descriptors".
const char* ConnectionRefusalName(ConnectionRefusal refusal);

class ConnectionGate {
 public:
  struct Options {
    ConnectionLimits limits;
    // What the log calls the port.
    std::string name;
    // See ListenOn().
    int user_timeout_ms = 20'000;
    // Both are called on the gate's own thread, which takes nobody else
    // meanwhile. `take` owns the socket, which does not block and is closed on
    // exec.
    std::function<void(int fd)> take;
    std::function<void(ConnectionRefusal)> on_refused;
  };

  // Listens on `listen` (see ListenOn) and lets connections in from now on. One
  // over a limit is closed at once, told to `on_refused` and, a few lines a
  // minute, to the log.
  //
  // A process without descriptors, or memory, still refuses, or lets newcomers
  // wait, and goes on by itself when there are some again.
  //
  // kUnavailable: the address cannot be listened on.
  static absl::StatusOr<std::unique_ptr<ConnectionGate>> Start(
      const std::string& listen, Options options);

  ConnectionGate(const ConnectionGate&) = delete;
  ConnectionGate& operator=(const ConnectionGate&) = delete;
  ~ConnectionGate();  // as Close()

  int port() const { return port_; }
  // Connections that were let in and are open still.
  size_t CountOpen();
  // Returns when nobody can connect and nothing is called any more. What was
  // let in stays open. Not to be called from two threads at once, nor from a
  // callback.
  void Close();

 private:
  class RefusalLog;
  ConnectionGate(ListeningSockets listening, OwnedFd wake, Options options);
  void Run(const std::stop_token& end);
  // False if it is of no use to go on before a while is over.
  bool AcceptSome(const OwnedFd& listening, RefusalLog& log);
  void LetIn(OwnedFd socket, const std::string& peer, RefusalLog& log);
  bool RefuseWithTheSpare(const OwnedFd& listening, RefusalLog& log);
  void Refuse(OwnedFd socket, ConnectionRefusal why, const std::string& peer,
              RefusalLog& log);

  const Options options_;
  std::vector<OwnedFd> sockets_;
  const int port_;
  const OwnedFd wake_;  // readable once the thread is to end
  // Given up to refuse somebody when there is no other descriptor.
  OwnedFd spare_;
  Mutex mutex_;
  OpenConnections open_ ABSL_GUARDED_BY(mutex_);
  std::jthread thread_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVER_CONNECTION_GATE_H_
