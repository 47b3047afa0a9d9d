#include "services/watch_cursor.h"

#include <charconv>
#include <optional>

#include <absl/status/status.h>
#include <fmt/format.h>

#include "core/refusal.h"
#include "crypto/digest.h"

namespace latchkey {
namespace {

constexpr std::string_view kPrefix = "w1.";
constexpr size_t kCheckLength = 8;

std::string CheckOf(std::string_view body) {
  return DigestOfParts("latchkey watch cursor v1", {body})
      .substr(0, kCheckLength);
}

// Reads a hexadecimal number and the dot behind it off the front of `text`.
std::optional<uint64_t> TakeNumber(std::string_view& text) {
  uint64_t number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, 16);
  if (error != std::errc() || end == text.data() + text.size() || *end != '.') {
    return std::nullopt;
  }
  text.remove_prefix(static_cast<size_t>(end - text.data()) + 1);
  return number;
}

}  // namespace

std::string FormatCursor(const EventCut& cut) {
  const std::string body =
      fmt::format("{}{:x}.{:x}.", kPrefix, cut.records, cut.csrs);
  return body + CheckOf(body);
}

absl::StatusOr<EventCut> ParseCursor(std::string_view text) {
  std::string_view rest = text;
  EventCut cut;
  if (text.size() <= kMaxCursorLength && rest.starts_with(kPrefix)) {
    rest.remove_prefix(kPrefix.size());
    const auto records = TakeNumber(rest);
    const auto csrs = records.has_value() ? TakeNumber(rest) : std::nullopt;
    if (csrs.has_value()) cut = {.records = *records, .csrs = *csrs};
    // Byte for byte, so that one cut is one text.
    if (csrs.has_value() && FormatCursor(cut) == text) return cut;
  }
  return InvalidField("cursor", "not one that WatchTokens gave out");
}

}  // namespace latchkey
