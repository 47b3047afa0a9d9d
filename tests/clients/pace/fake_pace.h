// A Pace in which nobody waits: sleeping moves a FakeClock.

#ifndef LATCHKEY_TESTS_CLIENTS_PACE_FAKE_PACE_H_
#define LATCHKEY_TESTS_CLIENTS_PACE_FAKE_PACE_H_

#include <functional>

#include <absl/time/time.h>

#include "clients/pace/pace.h"
#include "tests/testing/fake_clock.h"

namespace latchkey_testing {

class FakePace final : public latchkey::Pace {
 public:
  // `clock` must outlive this.
  explicit FakePace(FakeClock& clock) : clock_(clock) {}

  absl::Duration Elapsed() const override { return elapsed_; }
  void Sleep(absl::Duration duration) override {
    elapsed_ += duration;
    clock_.Advance(duration);
    if (on_sleep) on_sleep();
  }
  double Jitter() override { return 0; }

  // Runs after each sleep.
  std::function<void()> on_sleep;

 private:
  FakeClock& clock_;
  absl::Duration elapsed_;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_CLIENTS_PACE_FAKE_PACE_H_
