// Who takes part in a history: brokers, which are production's parts on
// simulated threads; machines, with production's joiner over a disk of their
// own; and who wants what is not theirs.

#ifndef LATCHKEY_TESTS_SIMULATION_PARTIES_H_
#define LATCHKEY_TESTS_SIMULATION_PARTIES_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include "clients/kubernetes/retrying_kubernetes_client.h"
#include "clients/node/broker_client.h"
#include "clients/node/node_joiner.h"
#include "clients/node/node_store.h"
#include "clients/pace/pace.h"
#include "core/clock.h"
#include "policy/live_policy.h"
#include "services/csr_approver.h"
#include "services/fair_queue.h"
#include "services/join_controller.h"
#include "services/misuse.h"
#include "services/token_administration.h"
#include "services/token_broker.h"
#include "services/token_upkeep.h"
#include "storage/kubernetes_token_store.h"
#include "tests/simulation/audit_book.h"
#include "tests/simulation/fiber_switch.h"
#include "tests/simulation/network.h"
#include "tests/simulation/scheduler.h"

namespace latchkey_testing {

// The virtual time, as seen on a machine whose clock is wrong by `skew`.
class SkewedClock final : public latchkey::Clock {
 public:
  explicit SkewedClock(Scheduler& scheduler) : scheduler_(scheduler) {}
  absl::Time Now() const override {
    const Overlooked overlooked;
    return scheduler_.Now() + skew_;
  }
  void SetSkew(absl::Duration skew) { skew_ = skew; }

 private:
  Scheduler& scheduler_;
  absl::Duration skew_;
};

class SimulatedPace final : public latchkey::Pace {
 public:
  explicit SimulatedPace(Scheduler& scheduler)
      : scheduler_(scheduler), begin_(scheduler.Now()) {}
  absl::Duration Elapsed() const override { return scheduler_.Now() - begin_; }
  void Sleep(absl::Duration duration) override { scheduler_.Sleep(duration); }
  double Jitter() override { return scheduler_.Fraction(); }

 private:
  Scheduler& scheduler_;
  const absl::Time begin_;
};

// What the gRPC services ask: the rules of minting, claiming and
// administration, and where the items of a batch wait.
struct BrokerServices {
  latchkey::TokenBroker& tokens;
  latchkey::TokenAdministration& administration;
  latchkey::FairQueue& batch_queue;
};

// A broker process: it can be killed, and started again.
class SimulatedBroker {
 public:
  struct Options {
    int number = 0;
    absl::Duration fetch_grace = latchkey::TokenUpkeep::Options().fetch_grace;
    absl::Duration join_window = absl::Minutes(15);
  };

  // The rest must outlive this. Starts.
  SimulatedBroker(const Options& options, Network& network, AuditBook& audit,
                  const latchkey::LivePolicy& policy);
  ~SimulatedBroker();

  void Kill();
  void Restart();
  void SetFrozen(bool frozen);
  bool alive() const { return parts_ != nullptr; }
  bool frozen() const { return frozen_; }
  SkewedClock& clock() { return clock_; }

  // A call to it over the network, from a fiber of the caller: `body` runs on a
  // thread of the broker, and refers to nothing of the caller's. kUnavailable,
  // kDeadlineExceeded if there is no answer.
  template <typename Answer>
  absl::StatusOr<Answer> Call(
      std::string_view verb, std::string_view object,
      std::function<absl::StatusOr<Answer>(const BrokerServices&)> body);

 private:
  struct Parts;
  BrokerServices services();
  // Runs `work` on a thread of this broker, and waits until it has `answered`.
  absl::Status Serve(std::string_view verb, std::string_view object,
                     const std::function<void()>& work,
                     const std::shared_ptr<bool>& answered);
  absl::Status RunAndWait(const std::function<void()>& work,
                          const std::shared_ptr<bool>& answered);

  const Options options_;
  Network& network_;
  const latchkey::LivePolicy& policy_;
  SkewedClock clock_;
  SimulatedAuditLog audit_;  // its file outlives the process
  Scheduler::Group group_ = 0;
  bool frozen_ = false;
  std::unique_ptr<Parts> parts_;
};

template <typename Answer>
absl::StatusOr<Answer> SimulatedBroker::Call(
    std::string_view verb, std::string_view object,
    std::function<absl::StatusOr<Answer>(const BrokerServices&)> body) {
  auto answer = std::make_shared<std::optional<absl::StatusOr<Answer>>>();
  auto answered = std::make_shared<bool>(false);
  const absl::Status served = Serve(
      verb, object,
      [this, answer, answered, body = std::move(body)] {
        auto result = body(services());
        const InTheWorld here;
        if (*answered) return;  // a repeated request; the caller has one
        answer->emplace(std::move(result));
        *answered = true;
        network_.scheduler().Signal(answered.get());
      },
      answered);
  if (!served.ok()) return served;
  return *std::move(*answer);
}

// A machine's disk, which outlives its processes. Whatever is killed in the
// middle of a write leaves it undone, or done.
class SimulatedDisk final : public latchkey::NodeStore {
 public:
  // `new_key` is what LoadOrCreateKey makes: making keys takes longer than
  // everything else.
  SimulatedDisk(Scheduler& scheduler, latchkey::PrivateKey new_key)
      : scheduler_(scheduler), new_key_(std::move(new_key)) {}

  absl::StatusOr<latchkey::Certificate> FindCredential(
      std::string_view node_name, absl::Time now) const override;
  absl::StatusOr<std::shared_ptr<void>> TryLock() override;
  absl::Status Prepare() override;
  absl::StatusOr<latchkey::Certificate> Recover(std::string_view node_name,
                                                absl::Time now) override;
  absl::StatusOr<latchkey::PrivateKey> LoadOrCreateKey(
      latchkey::KeyType type) override;
  absl::Status Install(const latchkey::NodeCredential& credential,
                       absl::Time now) override;

  // What a kubelet would use; null: nothing yet.
  const latchkey::NodeCredential* current() const {
    return current_.has_value() ? &*current_ : nullptr;
  }

 private:
  absl::StatusOr<latchkey::Certificate> Check(
      const std::optional<latchkey::NodeCredential>& credential,
      std::string_view node_name, absl::Time now) const;

  Scheduler& scheduler_;
  const latchkey::PrivateKey new_key_;
  std::optional<latchkey::PrivateKey> key_;
  std::optional<latchkey::NodeCredential> installed_;  // without the link
  std::optional<latchkey::NodeCredential> current_;    // with it
};

// One key, of a few dozen that are always the same.
const latchkey::PrivateKey& PooledKey(size_t number);

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_SIMULATION_PARTIES_H_
