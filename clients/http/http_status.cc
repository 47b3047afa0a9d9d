#include "clients/http/http_status.h"

#include <algorithm>
#include <charconv>

#include <absl/strings/cord.h>

namespace latchkey {
namespace {

constexpr absl::string_view kNotSentUrl = "latchkey.dev/not-sent";
constexpr absl::Duration kLongestRetryAfter = absl::Hours(1);

}  // namespace

absl::StatusCode StatusCodeOfHttp(int http_status) {
  switch (http_status) {
    case 400:  // Bad Request
    case 413:  // Content Too Large
    case 422:  // Unprocessable Content
      return absl::StatusCode::kInvalidArgument;
    case 401:
      return absl::StatusCode::kUnauthenticated;
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
      return absl::StatusCode::kNotFound;
    case 405:  // Method Not Allowed
    case 406:  // Not Acceptable
    case 415:  // Unsupported Media Type
    case 501:  // Not Implemented
      return absl::StatusCode::kUnimplemented;
    case 408:  // Request Timeout
    case 504:  // Gateway Timeout
      return absl::StatusCode::kDeadlineExceeded;
    case 409:
      return absl::StatusCode::kAborted;
    case 410:
      return absl::StatusCode::kOutOfRange;
    case 429:
      return absl::StatusCode::kResourceExhausted;
    case 502:  // Bad Gateway
    case 503:  // Service Unavailable
      return absl::StatusCode::kUnavailable;
    default:
      return http_status / 100 == 2 ? absl::StatusCode::kOk
                                    : absl::StatusCode::kInternal;
  }
}

std::optional<absl::Duration> RetryAfterOfResponse(
    const HttpResponse& response) {
  const auto header = response.headers.find("retry-after");
  if (header == response.headers.end()) return std::nullopt;
  const std::string& text = header->second;
  int seconds = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc::result_out_of_range) return kLongestRetryAfter;
  if (error != std::errc() || end != text.data() + text.size() || seconds < 0) {
    return std::nullopt;
  }
  return std::min(absl::Seconds(seconds), kLongestRetryAfter);
}

absl::Status MarkNotSent(absl::Status status) {
  status.SetPayload(kNotSentUrl, absl::Cord("1"));
  return status;
}

bool WasNotSent(const absl::Status& status) {
  return status.GetPayload(kNotSentUrl).has_value();
}

}  // namespace latchkey
