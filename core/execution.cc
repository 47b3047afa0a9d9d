#include "core/execution.h"

#include <random>

#include <absl/time/clock.h>

namespace latchkey {

thread_local constinit Execution* Execution::current_ = nullptr;

absl::Time ExecutionNow() {
  Execution* const execution = Execution::Current();
  return execution == nullptr ? absl::Now() : execution->Now();
}

void ExecutionSleep(absl::Duration duration) {
  if (Execution* const execution = Execution::Current()) {
    execution->Sleep(duration);
  } else {
    absl::SleepFor(duration);
  }
}

double DrawFraction() {
  if (Execution* const execution = Execution::Current()) {
    return execution->Fraction();
  }
  thread_local std::minstd_rand generator{std::random_device()()};
  return std::uniform_real_distribution<>(0, 1)(generator);
}

}  // namespace latchkey
