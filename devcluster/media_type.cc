#include "devcluster/media_type.h"

#include <string>

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>

#include "clients/kubernetes/envelope.h"

namespace latchkey {
namespace {

constexpr std::string_view kJson = "application/json";

std::string_view Trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// Takes what stands before `separator`, or all, off `rest`. No quoted strings:
// nothing that we understand needs them.
std::string_view TakePart(std::string_view& rest, char separator) {
  const size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return Trim(part);
}

bool Equal(std::string_view a, std::string_view b) {
  return absl::EqualsIgnoreCase({a.data(), a.size()}, {b.data(), b.size()});
}

struct Range {
  std::optional<MediaType> type;
  double quality = 1;
  // The object as something else than itself.
  bool converted = false;
};

Range ParseRange(std::string_view text) {
  Range range;
  const std::string_view name = TakePart(text, ';');
  if (Equal(name, kProtobufContentType)) {
    range.type = MediaType::kProtobuf;
  } else if (Equal(name, kJson) || name == "*/*" ||
             Equal(name, "application/*")) {
    range.type = MediaType::kJson;
  }
  while (!text.empty()) {
    std::string_view value = TakePart(text, ';');
    const std::string_view key = TakePart(value, '=');
    if (key == "as") range.converted = true;
    if (key == "q" &&
        !absl::SimpleAtod({value.data(), value.size()}, &range.quality)) {
      range.quality = 0;
    }
  }
  return range;
}

}  // namespace

std::optional<MediaType> AcceptedMediaType(std::string_view accept) {
  if (Trim(accept).empty()) return MediaType::kJson;
  std::optional<MediaType> best;
  double best_quality = 0;
  while (!accept.empty()) {
    const Range range = ParseRange(TakePart(accept, ','));
    if (!range.type || range.converted) continue;
    // "More than" keeps the first of equals, and q=0 and NaN out.
    if (range.quality > best_quality) {
      best = range.type;
      best_quality = range.quality;
    }
  }
  return best;
}

std::optional<MediaType> ContentMediaType(std::string_view content_type) {
  const std::string_view name = TakePart(content_type, ';');
  if (name.empty() || Equal(name, kJson)) return MediaType::kJson;
  if (Equal(name, kProtobufContentType)) return MediaType::kProtobuf;
  return std::nullopt;
}

std::string_view MediaTypeName(MediaType type) {
  return type == MediaType::kJson ? kJson : kProtobufContentType;
}

std::string_view WatchMediaTypeName(MediaType type) {
  return type == MediaType::kJson
             ? kJson
             : "application/vnd.kubernetes.protobuf;stream=watch";
}

}  // namespace latchkey
