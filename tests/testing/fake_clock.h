// A clock that stands still until a test moves it.

#ifndef LATCHKEY_TESTS_TESTING_FAKE_CLOCK_H_
#define LATCHKEY_TESTS_TESTING_FAKE_CLOCK_H_

#include <absl/time/time.h>

#include "core/clock.h"
#include "core/mutex.h"

namespace latchkey_testing {

class FakeClock final : public latchkey::Clock {
 public:
  // Whole seconds, like the times that Kubernetes stores.
  explicit FakeClock(absl::Time now = absl::FromUnixSeconds(1'800'000'000))
      : now_(now) {}

  absl::Time Now() const override {
    const latchkey::MutexLock lock(mutex_);
    return now_;
  }
  void Advance(absl::Duration by) {
    const latchkey::MutexLock lock(mutex_);
    now_ += by;
  }

 private:
  mutable latchkey::Mutex mutex_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_TESTING_FAKE_CLOCK_H_
