// The passing of time for a program that waits, as a collaborator: time that
// does not jump when the clock is set, as it is on a machine that just booted.

#ifndef LATCHKEY_CLIENTS_PACE_PACE_H_
#define LATCHKEY_CLIENTS_PACE_PACE_H_

#include <absl/time/time.h>

namespace latchkey {

class Pace {
 public:
  Pace() = default;
  Pace(const Pace&) = delete;
  Pace& operator=(const Pace&) = delete;
  virtual ~Pace() = default;

  // Since some moment in the past, always the same one.
  virtual absl::Duration Elapsed() const = 0;
  virtual void Sleep(absl::Duration duration) = 0;
  // In [0, 1), to keep machines that failed together from coming back together.
  virtual double Jitter() = 0;
};

class SystemPace final : public Pace {
 public:
  absl::Duration Elapsed() const override;
  void Sleep(absl::Duration duration) override;
  double Jitter() override;
};

// Waits between attempts: doubled from the first to the last, each with up to
// as much again of jitter.
class Backoff {
 public:
  explicit Backoff(Pace& pace) : pace_(pace) {}

  // The next wait; at least what the server asked for, if it did, spread too.
  absl::Duration Next(absl::Duration server_wants = absl::ZeroDuration());
  void Reset() { next_ = kFirst; }

 private:
  static constexpr absl::Duration kFirst = absl::Milliseconds(200);
  static constexpr absl::Duration kLast = absl::Seconds(10);
  Pace& pace_;
  absl::Duration next_ = kFirst;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_PACE_PACE_H_
