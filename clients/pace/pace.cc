#include "clients/pace/pace.h"

#include <time.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include <absl/time/clock.h>

#include "crypto/random.h"

namespace latchkey {

absl::Duration SystemPace::Elapsed() const {
  // BOOTTIME also counts while the machine is suspended.
  timespec now = {};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return absl::DurationFromTimespec(now);
}

void SystemPace::Sleep(absl::Duration duration) { absl::SleepFor(duration); }

double SystemPace::Jitter() {
  uint32_t value = 0;
  for (const char byte : RandomBytes(sizeof(value))) {
    value = (value << 8) | static_cast<uint8_t>(byte);
  }
  return value / 4294967296.0;
}

absl::Duration Backoff::Next(absl::Duration server_wants) {
  const absl::Duration base = std::max(next_, server_wants);
  next_ = std::min(next_ * 2, kLast);
  return base * (1 + pace_.Jitter());
}

}  // namespace latchkey
