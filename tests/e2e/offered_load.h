// Calls at a steady rate, whether those before are answered or not.

#ifndef LATCHKEY_TESTS_E2E_OFFERED_LOAD_H_
#define LATCHKEY_TESTS_E2E_OFFERED_LOAD_H_

#include <algorithm>
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

  // As many calls can be waited for at once as there are `threads`: a call may
  // take threads / per_second seconds before the next ones are late.
  OfferedLoad(int per_second, Call call, int threads = 16)
      : per_second_(per_second), call_(std::move(call)), count_(threads) {
    for (int i = 0; i < count_; ++i) {
      threads_.emplace_back(
          [this, i](const std::stop_token& stop) { Run(stop, i); });
    }
  }
  // Ends it; the calls that failed.
  std::vector<absl::Status> End() {
    for (std::jthread& thread : threads_) thread.request_stop();
    threads_.clear();
    return failures_;
  }
  int calls() const { return calls_; }
  // Calls a second since it began: less than wanted if they take too long.
  double rate() const {
    return static_cast<double>(calls_) /
           absl::ToDoubleSeconds(absl::Now() - begun_);
  }

  // Whole ones since it began.
  size_t seconds() const {
    return static_cast<size_t>(absl::ToInt64Seconds(absl::Now() - begun_));
  }

  // Answers a second, in the best `seconds` that follow each other.
  double best_rate(size_t seconds) {
    const std::lock_guard lock(mutex_);
    int best = 0;
    for (size_t i = 0; i + seconds <= answers_.size(); ++i) {
      int sum = 0;
      for (size_t j = i; j < i + seconds; ++j) sum += answers_[j];
      best = std::max(best, sum);
    }
    return static_cast<double>(best) / static_cast<double>(seconds);
  }

 private:
  void Run(const std::stop_token& stop, int number) {
    for (; !stop.stop_requested(); number += count_) {
      absl::SleepFor(begun_ + absl::Seconds(1) * number / per_second_ -
                     absl::Now());
      const absl::Status status = call_(number);
      ++calls_;
      const size_t second = seconds();
      const std::lock_guard lock(mutex_);
      if (second >= answers_.size()) answers_.resize(second + 1);
      ++answers_[second];
      if (!status.ok()) failures_.push_back(status);
    }
  }

  const int per_second_;
  const Call call_;
  const int count_;
  const absl::Time begun_ = absl::Now();
  std::atomic<int> calls_ = 0;
  std::mutex mutex_;
  std::vector<absl::Status> failures_;
  // In each second since it began.
  std::vector<int> answers_;
  std::vector<std::jthread> threads_;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_E2E_OFFERED_LOAD_H_
