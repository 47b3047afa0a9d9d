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

// The form that is written, and read all day long, many times faster than
// Abseil reads any form. False if `text` is another, or not plainly a time.
bool ParsePlain(std::string_view text, absl::Time& time) {
  constexpr std::string_view kPlain = "0000-00-00T00:00:00Z";
  if (text.size() != kPlain.size() || !StartsWithForm(text, kPlain)) {
    return false;
  }
  const auto number = [&](size_t begin, size_t digits) {
    int value = 0;
    for (const char c : text.substr(begin, digits))
      value = value * 10 + c - '0';
    return value;
  };
  const int month = number(5, 2);
  const int day = number(8, 2);
  const int hour = number(11, 2);
  const int minute = number(14, 2);
  const int second = number(17, 2);
  const absl::CivilDay date(number(0, 4), month, day);
  // Another day: there is none of this name.
  if (date.month() != month || date.day() != day || hour > 23 || minute > 59 ||
      second > 59) {
    return false;
  }
  const int64_t days = date - absl::CivilDay(1970, 1, 1);
  time =
      absl::FromUnixSeconds(((days * 24 + hour) * 60 + minute) * 60 + second);
  return true;
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
  if (ParsePlain(text, time)) return time;
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
