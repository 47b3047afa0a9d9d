// A TCP proxy that does to connections what networks do, on a seed.

#ifndef LATCHKEY_TESTS_TESTING_FAULT_PROXY_H_
#define LATCHKEY_TESTS_TESTING_FAULT_PROXY_H_

#include <atomic>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <random>
#include <stop_token>
#include <thread>
#include <vector>

namespace latchkey_testing {

// What becomes of a connection that is made while there are faults. Each fate
// comes in every twenty connections.
enum class ConnectionFate {
  kWhole,       // nothing
  kRefused,     // it is reset at once
  kSlow,        // each chunk waits for a while
  kCut,         // it is reset after some bytes
  kHalfClosed,  // after some bytes the client hears the end, and may go on
  kAnswerLost,  // requests arrive; of the answers nothing after some bytes, and
                // then it is reset
  kSilent,      // after some bytes nothing arrives any more; reset in the end
};

// Listens on a free port of 127.0.0.1. Safe for concurrent use.
class FaultProxy {
 public:
  // Each connection goes to the first of `targets`, ports of 127.0.0.1, that
  // takes it, beginning with a random one. Throws if it cannot listen.
  FaultProxy(std::vector<int> targets, uint64_t seed);
  FaultProxy(const FaultProxy&) = delete;
  FaultProxy& operator=(const FaultProxy&) = delete;
  ~FaultProxy();

  int port() const { return port_; }
  // Whether new connections have a fate. Old ones keep theirs.
  void SetFaults(bool on) { faults_ = on; }
  // Begins with the first target for each connection.
  void SetInOrder() { in_order_ = true; }
  // While it is so, nothing that the targets say is passed on.
  void HoldAnswers(bool hold) { answers_held_ = hold; }
  // How many connections of each fate there were.
  std::map<ConnectionFate, int> Fates() const;
  // How many of them lived until it struck: a cut that is due after more bytes
  // than a connection has is none.
  std::map<ConnectionFate, int> Strikes() const;

 private:
  struct Flow;
  struct Connection;

  void Run(const std::stop_token& stop);
  void Accept();
  int Connect();
  // Moves what can be moved; false when the connection is done with.
  bool Serve(Connection& connection);
  bool Move(Connection& connection, Flow& flow);
  bool IsHeld(const Flow& flow) const;
  ConnectionFate DrawFate();
  void Strike(Connection& connection);
  bool Read(Connection& connection, Flow& flow);
  int Random(int least, int most);

  const std::vector<int> targets_;
  std::mt19937_64 random_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> faults_ = false;
  std::atomic<bool> in_order_ = false;
  std::atomic<bool> answers_held_ = false;
  mutable std::mutex mutex_;
  std::map<ConnectionFate, int> fates_;    // guarded by mutex_
  std::map<ConnectionFate, int> strikes_;  // guarded by mutex_
  std::vector<ConnectionFate> next_fates_;
  std::list<Connection> connections_;
  std::jthread thread_;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_TESTING_FAULT_PROXY_H_
