#include "core/text_time.h"

#include <absl/status/status.h>

namespace latchkey {

std::string FormatRfc3339(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%SZ", time, absl::UTCTimeZone());
}

absl::StatusOr<absl::Time> ParseRfc3339(std::string_view text) {
  absl::Time time;
  std::string error;
  // %E*S takes a fraction, %Ez an offset or Z. The parser would skip white
  // space and accept "infinite-future"; a time that another program wrote has
  // neither.
  const bool plain =
      !text.empty() && text.front() >= '0' && text.front() <= '9';
  if (!plain || !absl::ParseTime("%Y-%m-%d%ET%H:%M:%E*S%Ez", std::string(text),
                                 &time, &error)) {
    return absl::InvalidArgumentError(
        "not an RFC 3339 time such as 2026-01-02T15:04:05Z");
  }
  return time;
}

absl::StatusOr<absl::Duration> ParsePositiveDuration(std::string_view text) {
  absl::Duration duration;
  if (!absl::ParseDuration(std::string(text), &duration) ||
      duration <= absl::ZeroDuration() ||
      duration == absl::InfiniteDuration()) {
    return absl::InvalidArgumentError(
        "not a positive duration such as 90s, 15m or 1h30m");
  }
  return duration;
}

}  // namespace latchkey
