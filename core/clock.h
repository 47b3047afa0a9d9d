// The time, as a collaborator: what reads the wall clock takes a Clock&, so
// that tests can hold it still and move it.

#ifndef LATCHKEY_CORE_CLOCK_H_
#define LATCHKEY_CORE_CLOCK_H_

#include <absl/time/clock.h>
#include <absl/time/time.h>

namespace latchkey {

// Safe for concurrent use.
class Clock {
 public:
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;

  virtual absl::Time Now() const = 0;
};

class SystemClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }
};

}  // namespace latchkey

#endif  // LATCHKEY_CORE_CLOCK_H_
