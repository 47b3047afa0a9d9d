#include "core/token_labels.h"

#include <algorithm>
#include <string_view>

#include <absl/strings/ascii.h>
#include <fmt/format.h>

#include "core/refusal.h"

namespace latchkey {
namespace {

constexpr size_t kMaxLabels = 16;
constexpr size_t kMaxLabelLength = 63;

bool IsLabelText(std::string_view text) {
  if (text.empty() || text.size() > kMaxLabelLength) return false;
  return absl::ascii_isalnum(static_cast<unsigned char>(text.front())) &&
         absl::ascii_isalnum(static_cast<unsigned char>(text.back())) &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                  c == '.' || c == '_' || c == '-';
         });
}

}  // namespace

absl::Status ValidateLabels(const TokenLabels& labels) {
  const bool valid =
      labels.size() <= kMaxLabels &&
      std::all_of(labels.begin(), labels.end(), [](const auto& label) {
        return IsLabelText(label.first) &&
               (label.second.empty() || IsLabelText(label.second));
      });
  if (valid) return absl::OkStatus();
  return InvalidField(
      "labels",
      "at most 16; keys of 1 to 63 characters of [A-Za-z0-9._-] that "
      "begin and end with a letter or digit, values the same or empty");
}

std::string FormatLabels(const TokenLabels& labels) {
  std::string text;
  for (const auto& [key, value] : labels) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", key, value);
  }
  return text;
}

}  // namespace latchkey
