#include "core/refusal.h"

#include <utility>

#include <absl/strings/cord.h>
#include <fmt/format.h>

#include "core/reasons.h"

namespace latchkey {
namespace {

constexpr absl::string_view kReasonUrl = "latchkey.dev/reason";
constexpr absl::string_view kMetadataUrl = "latchkey.dev/metadata";
constexpr absl::string_view kRetryAfterUrl = "latchkey.dev/retry-after";

std::string PayloadOf(const absl::Status& status, absl::string_view url) {
  const auto payload = status.GetPayload(url);
  return payload.has_value() ? std::string(*payload) : std::string();
}

// Pairs of NUL-terminated strings: neither keys nor values hold a NUL, since
// Refuse() drops what follows one.
std::string EncodePairs(const RefusalMetadata& metadata) {
  std::string text;
  for (const auto& [key, value] : metadata) {
    text.append(key.c_str()).push_back('\0');
    text.append(value.c_str()).push_back('\0');
  }
  return text;
}

RefusalMetadata DecodePairs(std::string_view text) {
  RefusalMetadata metadata;
  while (!text.empty()) {
    const size_t key_end = text.find('\0');
    const size_t value_end = text.find('\0', key_end + 1);
    metadata.emplace(text.substr(0, key_end),
                     text.substr(key_end + 1, value_end - key_end - 1));
    text.remove_prefix(value_end + 1);
  }
  return metadata;
}

}  // namespace

absl::Status Refuse(absl::StatusCode code, std::string_view reason,
                    std::string_view message, const RefusalMetadata& metadata) {
  absl::Status status(code, std::string(message));
  status.SetPayload(kReasonUrl, absl::Cord(std::string(reason)));
  if (!metadata.empty()) {
    status.SetPayload(kMetadataUrl, absl::Cord(EncodePairs(metadata)));
  }
  return status;
}

absl::Status InvalidField(std::string_view field, std::string_view message) {
  return Refuse(absl::StatusCode::kInvalidArgument, reason::kInvalidField,
                fmt::format("{}: {}", field, message),
                {{"field", std::string(field)}});
}

std::string ReasonOf(const absl::Status& status) {
  return PayloadOf(status, kReasonUrl);
}

RefusalMetadata MetadataOf(const absl::Status& status) {
  return DecodePairs(PayloadOf(status, kMetadataUrl));
}

absl::Status WithRetryAfter(absl::Status status,
                            std::optional<absl::Duration> delay) {
  if (!delay) return status;
  status.SetPayload(kRetryAfterUrl, absl::Cord(absl::FormatDuration(*delay)));
  return status;
}

std::optional<absl::Duration> RetryAfterOf(const absl::Status& status) {
  absl::Duration delay;
  if (!absl::ParseDuration(PayloadOf(status, kRetryAfterUrl), &delay)) {
    return std::nullopt;
  }
  return delay;
}

bool OutcomeIsUnknown(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDataLoss:
      return true;
    default:
      return false;
  }
}

}  // namespace latchkey
