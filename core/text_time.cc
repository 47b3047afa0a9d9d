#include "core/text_time.h"

#include <algorithm>

#include <absl/status/status.h>

namespace latchkey {
namespace {

// True if `text` begins with `form`, in which '0' stands for any digit.
bool StartsWithForm(std::string_view text, std::string_view form) {
  return text.size() >= form.size() &&
         std::equal(form.begin(), form.end(), text.begin(),
                    [](char wanted, char c) {
                      return wanted == '0' ? c >= '0' && c <= '9' : c == wanted;
                    });
}

// The grammar of RFC 3339, 5.6, in upper case as Go insists. Abseil's parser
// also takes white space around, single digits, years of any length and offsets
// without a colon: what it read so, Kubernetes would not read.
bool HasRfc3339Form(std::string_view text) {
  constexpr std::string_view kUpToSeconds = "0000-00-00T00:00:00";
  if (!StartsWithForm(text, kUpToSeconds)) return false;
  text.remove_prefix(kUpToSeconds.size());
  if (StartsWithForm(text, ".0")) {
    text.remove_prefix(1);
    while (StartsWithForm(text, "0")) text.remove_prefix(1);
  }
  constexpr std::string_view kOffset = "+00:00";
  return text == "Z" ||
         (text.size() == kOffset.size() &&
          (StartsWithForm(text, kOffset) || StartsWithForm(text, "-00:00")));
}

}  // namespace

absl::Time WholeSeconds(absl::Time time) {
  return absl::FromUnixSeconds(absl::ToUnixSeconds(time));
}

std::string FormatRfc3339(absl::Time time) {
  return absl::FormatTime("%E4Y-%m-%d%ET%H:%M:%SZ", time, absl::UTCTimeZone());
}

absl::StatusOr<absl::Time> ParseRfc3339(std::string_view text) {
  absl::Time time;
  std::string error;
  // %E*S takes a fraction, %Ez an offset or Z.
  if (!HasRfc3339Form(text) ||
      !absl::ParseTime("%Y-%m-%d%ET%H:%M:%E*S%Ez", std::string(text), &time,
                       &error)) {
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
