// Times and durations as text, in the forms that Kubernetes and our own
// configuration use.

#ifndef LATCHKEY_CORE_TEXT_TIME_H_
#define LATCHKEY_CORE_TEXT_TIME_H_

#include <string>
#include <string_view>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

namespace latchkey {

// `time` without its fraction of a second: what the stores and the API keep.
absl::Time WholeSeconds(absl::Time time);

// RFC 3339 in UTC with whole seconds, as kubeadm writes `expiration`:
// 2026-01-02T15:04:05Z. Fractions are cut off.
std::string FormatRfc3339(absl::Time time);

// RFC 3339 to the letter, in upper case, with fractions or a numeric offset
// too. Else kInvalidArgument.
absl::StatusOr<absl::Time> ParseRfc3339(std::string_view text);

// A positive duration such as 90s, 15m, 1h30m. Else kInvalidArgument.
absl::StatusOr<absl::Duration> ParsePositiveDuration(std::string_view text);

}  // namespace latchkey

#endif  // LATCHKEY_CORE_TEXT_TIME_H_
