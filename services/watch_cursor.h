// The cursor of a watch of tokens, as text.

#ifndef LATCHKEY_SERVICES_WATCH_CURSOR_H_
#define LATCHKEY_SERVICES_WATCH_CURSOR_H_

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "services/token_event.h"

namespace latchkey {

inline constexpr size_t kMaxCursorLength = 64;

// A version prefix, the cut, and a check against copying half of it. It holds
// no secret and proves nothing: a forged one only asks for other events, which
// the caller may see or not all the same.
std::string FormatCursor(const EventCut& cut);

// INVALID_FIELD (kInvalidArgument, field "cursor") if it is none of ours.
absl::StatusOr<EventCut> ParseCursor(std::string_view text);

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_WATCH_CURSOR_H_
