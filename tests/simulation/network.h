// What lies between the parties of a simulated cluster: requests and answers
// that are late, lost or done twice over, watches that lag and break.

#ifndef LATCHKEY_TESTS_SIMULATION_NETWORK_H_
#define LATCHKEY_TESTS_SIMULATION_NETWORK_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "devcluster/api_server.h"
#include "devcluster/user.h"
#include "tests/simulation/scheduler.h"

namespace latchkey_testing {

// How often what goes wrong, of all requests.
struct FaultRates {
  double lost_request = 0;
  double lost_answer = 0;
  // The caller gives up; the request arrives later.
  double late_request = 0;
  double throttled = 0;     // 429
  double server_error = 0;  // 500, not done
  double slow = 0;          // seconds instead of milliseconds
  double broken_watch = 0;  // of watch events
  double lagging_watch = 0;
};

class Network {
 public:
  // Of what is on its way, and outlives its senders.
  static constexpr Scheduler::Group kGroup = -1;

  // All must outlive this.
  Network(Scheduler& scheduler, latchkey::ApiServer& api)
      : scheduler_(scheduler), api_(api), begin_(scheduler.Now()) {}

  void SetRates(const FaultRates& rates) { rates_ = rates; }
  const FaultRates& rates() const { return rates_; }
  // While it is down, the API server answers nobody.
  void SetApiServerDown(bool down);

  // A request from here to there: carries `done` out in its own time, or not.
  // `what` is for the trace.
  absl::Status Carry(std::string_view what,
                     const std::function<absl::Status()>& done, bool write);

  // The same to a broker, which is there or not by itself.
  absl::Status CarryCall(std::string_view what,
                         const std::function<absl::Status()>& done);

  // As `user`, by certificate.
  std::unique_ptr<latchkey::KubernetesClient> ClientOf(latchkey::User user);
  // As whoever has this bootstrap token: asked at each request, with the ten
  // seconds' memory for good tokens that kube-apiserver has.
  std::unique_ptr<latchkey::KubernetesClient> ClientWithToken(
      std::string token);

  // Waits until the cluster may have changed.
  void AwaitChange(absl::Duration timeout);
  void NoteChange() { scheduler_.Signal(this); }

  // What happened, for whoever reads a failing history.
  void Trace(std::string line);
  void KeepTrace() { traced_ = true; }
  const std::vector<std::string>& trace() const { return trace_; }

  Scheduler& scheduler() { return scheduler_; }
  latchkey::ApiServer& api() { return api_; }
  bool api_server_down() const { return down_; }

  absl::StatusOr<latchkey::User> Authenticate(const std::string& token);

 private:
  void Travel();

  struct KnownToken {
    latchkey::User user;
    absl::Time since;
  };

  Scheduler& scheduler_;
  latchkey::ApiServer& api_;
  const absl::Time begin_;
  FaultRates rates_;
  bool down_ = false;
  std::map<std::string, KnownToken> known_tokens_;
  bool traced_ = false;
  std::vector<std::string> trace_;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_SIMULATION_NETWORK_H_
