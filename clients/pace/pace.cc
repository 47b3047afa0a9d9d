#include "clients/pace/pace.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include <absl/time/clock.h>

#include "core/execution.h"
#include "crypto/random.h"

namespace latchkey {

absl::Duration SystemPace::Elapsed() const {
  return ExecutionNow() - absl::UnixEpoch();
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
