// What lies between the parties of a simulated cluster: requests and answers
// that are late, lost or done twice over, watches that lag and break.

#ifndef LATCHKEY_TESTS_SIMULATION_NETWORK_H_
#define LATCHKEY_TESTS_SIMULATION_NETWORK_H_

#include <array>
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
#include "tests/simulation/faults.h"
#include "tests/simulation/scheduler.h"

namespace latchkey_testing {

// How often what goes wrong, of all requests.
struct FaultRates {
  double lost_request = 0;
  double lost_answer = 0;
  // The caller gives up; the request arrives later.
  double late_request = 0;
  // It arrives once more, a while after its answer.
  double repeated_request = 0;
  double throttled = 0;     // 429
  double server_error = 0;  // 500, not done
  double slow = 0;          // seconds instead of milliseconds
  double broken_watch = 0;  // of watch events
  double lagging_watch = 0;
  // The API server does not know a new token for a while, of tokens.
  double lagging_login = 0;
  double failed_record = 0;  // of audit records
};

// A request on its way.
struct Errand {
  // For the trace.
  std::string_view verb;
  std::string_view object;
  // What it does where it arrives; runs on the sender's thread.
  std::function<absl::Status()> deliver;
  // The same, to be done after the sender may be gone. Null: nothing is left of
  // it but its answer, as of whatever only reads.
  std::function<std::function<void()>()> copy;
};

class Network {
 public:
  // Of what is on its way, and outlives its senders.
  static constexpr Scheduler::Group kGroup = -1;

  // All must outlive this.
  Network(Scheduler& scheduler, Faults& faults, latchkey::ApiServer& api)
      : scheduler_(scheduler),
        faults_(faults),
        api_(api),
        begin_(scheduler.Now()) {}

  void SetRates(const FaultRates& rates) { rates_ = rates; }
  const FaultRates& rates() const { return rates_; }
  // While it is down, the API server answers nobody.
  void SetApiServerDown(bool down);
  // When a request to the API server came to nothing, and whose it was.
  struct Failure {
    Scheduler::Group group;
    absl::Time time;
  };
  const std::vector<Failure>& failures() const { return failures_; }

  // Whether a fault of this probability happens; the trace tells of it.
  bool Strike(double probability, std::string_view fault,
              std::string_view verb = "", std::string_view object = "");

  // A request to the API server.
  absl::Status Carry(const Errand& errand);
  // A call to a broker, which is there or not by itself.
  absl::Status CarryCall(const Errand& errand);

  // As `user`, by certificate.
  std::unique_ptr<latchkey::KubernetesClient> ClientOf(latchkey::User user);
  // As whoever has this bootstrap token: asked at each request, with the ten
  // seconds' memory for good tokens that kube-apiserver has.
  std::unique_ptr<latchkey::KubernetesClient> ClientWithToken(
      std::string token);

  // Waits until objects of the resource may have changed; of any, if it is
  // empty.
  void AwaitChange(std::string_view plural, absl::Duration timeout);
  // Objects of the resource have changed; of all, if it is empty.
  void NoteChange(std::string_view plural);

  // What happened, for whoever reads a failing history.
  bool traced() const { return traced_; }
  void Trace(std::string_view line);
  // From here on the trace is printed as it comes: a history may end in a
  // crash.
  void PrintTrace() { traced_ = true; }

  Scheduler& scheduler() { return scheduler_; }
  Faults& faults() { return faults_; }
  latchkey::ApiServer& api() { return api_; }
  bool api_server_down() const { return down_; }

  absl::StatusOr<latchkey::User> Authenticate(const std::string& token);

 private:
  // Whatever is waited for.
  enum Topic { kSecrets, kCsrs, kOthers, kAny, kTopics };
  static Topic TopicOf(std::string_view plural);

  void Travel();
  absl::Status TryToCarry(const Errand& errand);
  absl::StatusCode CodeOfLostAnswer() const;
  void SendLater(const Errand& errand, std::string_view what);
  absl::Status Arrive(const Errand& errand);
  // There and back again, from when it has left.
  absl::Status Exchange(const Errand& errand);

  struct KnownToken {
    latchkey::User user;
    absl::Time since;
    absl::Time known_from = absl::InfinitePast();
  };

  Scheduler& scheduler_;
  Faults& faults_;
  latchkey::ApiServer& api_;
  const absl::Time begin_;
  FaultRates rates_;
  bool down_ = false;
  std::array<char, kTopics> topics_ = {};  // their addresses
  std::map<std::string, KnownToken> known_tokens_;
  bool traced_ = false;
  std::vector<Failure> failures_;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_SIMULATION_NETWORK_H_
