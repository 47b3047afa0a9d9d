// ExecutionNow() of the thread that makes one, as a test sets it.

#ifndef LATCHKEY_TESTS_TESTING_FAKE_EXECUTION_H_
#define LATCHKEY_TESTS_TESTING_FAKE_EXECUTION_H_

#include <functional>
#include <memory>
#include <mutex>

#include <absl/time/time.h>

#include "core/execution.h"

namespace latchkey_testing {

// For code that starts no thread and waits for nothing.
class FakeExecution final : public latchkey::Execution {
 public:
  FakeExecution() { SetCurrent(this); }
  ~FakeExecution() override { SetCurrent(nullptr); }

  void Advance(absl::Duration by) { now_ += by; }

  std::shared_ptr<Task> Start(std::function<void()> /*body*/) override {
    return nullptr;
  }
  bool WaitFor(const void* /*condition*/, std::mutex& /*mutex*/,
               absl::Duration /*timeout*/) override {
    return true;
  }
  void Signal(const void* /*condition*/) override {}
  absl::Time Now() override { return now_; }
  void Sleep(absl::Duration duration) override { now_ += duration; }
  double Fraction() override { return 0; }

 private:
  absl::Time now_ = absl::UnixEpoch();
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_TESTING_FAKE_EXECUTION_H_
