#include "core/execution.h"

#include <time.h>

#include <random>

#include <absl/time/clock.h>

namespace latchkey {

thread_local constinit Execution* Execution::current_ = nullptr;

absl::Time ExecutionNow() {
  Execution* const execution = Execution::Current();
  if (execution != nullptr) return execution->Now();
  // BOOTTIME also counts while the machine is suspended.
  timespec since_boot = {};
  clock_gettime(CLOCK_BOOTTIME, &since_boot);
  return absl::TimeFromTimespec(since_boot);
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
