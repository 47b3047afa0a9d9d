// Waiting for a condition, with a deadline: what tests do instead of sleeping.

#ifndef LATCHKEY_TESTS_TESTING_WAIT_UNTIL_H_
#define LATCHKEY_TESTS_TESTING_WAIT_UNTIL_H_

#include <absl/time/clock.h>
#include <absl/time/time.h>

namespace latchkey_testing {

// Polls `condition` until it is true or `timeout` is over; answers which.
template <typename Condition>
bool WaitUntil(const Condition& condition,
               absl::Duration timeout = absl::Seconds(30)) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return true;
}

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_TESTING_WAIT_UNTIL_H_
