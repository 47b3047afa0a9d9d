// Calls at a steady rate, whether those before are answered or not.

#ifndef LATCHKEY_TESTS_E2E_OFFERED_LOAD_H_
#define LATCHKEY_TESTS_E2E_OFFERED_LOAD_H_

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

namespace latchkey_testing {

class OfferedLoad {
 public:
  // One call, of those numbered from 0; on any of several threads.
  using Call = std::function<absl::Status(int number)>;

  OfferedLoad(int per_second, Call call)
      : per_second_(per_second), call_(std::move(call)) {
    for (int i = 0; i < kThreads; ++i) {
      threads_.emplace_back(
          [this, i](const std::stop_token& stop) { Run(stop, i); });
    }
  }
  // Ends it; the calls that failed.
  std::vector<absl::Status> End() {
    threads_.clear();
    return failures_;
  }
  int calls() const { return calls_; }
  // Calls a second since it began: less than wanted if they take too long.
  double rate() const {
    return static_cast<double>(calls_) /
           absl::ToDoubleSeconds(absl::Now() - begun_);
  }

 private:
  static constexpr int kThreads = 16;

  void Run(const std::stop_token& stop, int number) {
    for (; !stop.stop_requested(); number += kThreads) {
      absl::SleepFor(begun_ + absl::Seconds(1) * number / per_second_ -
                     absl::Now());
      const absl::Status status = call_(number);
      ++calls_;
      if (status.ok()) continue;
      const std::lock_guard lock(mutex_);
      failures_.push_back(status);
    }
  }

  const int per_second_;
  const Call call_;
  const absl::Time begun_ = absl::Now();
  std::atomic<int> calls_ = 0;
  std::mutex mutex_;
  std::vector<absl::Status> failures_;
  std::vector<std::jthread> threads_;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_E2E_OFFERED_LOAD_H_
