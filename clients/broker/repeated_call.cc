#include "clients/broker/repeated_call.h"

#include "core/refusal.h"

namespace latchkey {

bool IsWorthRepeating(const absl::Status& status) {
  if (absl::IsUnavailable(status)) return true;
  return absl::IsResourceExhausted(status) &&
         ReasonOf(status) != "QUOTA_OUTSTANDING";
}

absl::Status CallRepeatedly(
    Pace& pace, absl::Duration timeout,
    const std::function<absl::Status(absl::Duration left)>& call) {
  const absl::Duration end = pace.Elapsed() + timeout;
  Backoff backoff(pace);
  while (true) {
    absl::Status status = call(end - pace.Elapsed());
    if (!IsWorthRepeating(status)) return status;
    const absl::Duration wait =
        backoff.Next(RetryAfterOf(status).value_or(absl::ZeroDuration()));
    if (pace.Elapsed() + wait >= end) return status;
    pace.Sleep(wait);
  }
}

}  // namespace latchkey
