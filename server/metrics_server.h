// The port for whoever watches over the broker: plain HTTP, read-only.

#ifndef LATCHKEY_SERVER_METRICS_SERVER_H_
#define LATCHKEY_SERVER_METRICS_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include <absl/status/statusor.h>

namespace latchkey {

class MetricsServer {
 public:
  // Called on the server's threads.
  struct Answers {
    // GET /metrics: Prometheus' text format.
    std::function<std::string()> metrics;
    // GET /readyz: 200 if true, else 503.
    std::function<bool()> ready;
  };

  // Listens on `listen` (address:port; port 0 takes a free one). GET /healthz
  // is 200 as long as this lives. Anything else is 404 or 405. Two threads, a
  // few waiting connections, small requests and ten seconds for each.
  //
  // kUnavailable: the address cannot be listened on.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(
      const std::string& listen, Answers answers);
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;
  ~MetricsServer();

  int port() const;

 private:
  struct State;
  explicit MetricsServer(std::unique_ptr<State> state);
  const std::unique_ptr<State> state_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVER_METRICS_SERVER_H_
