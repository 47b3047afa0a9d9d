#include "clients/http/curl_status.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "clients/http/http_status.h"

namespace latchkey {
namespace {

constexpr size_t kMaxDetail = 200;

absl::StatusCode CodeOf(const CurlOutcome& outcome) {
  if (outcome.not_repeatable) return absl::StatusCode::kUnavailable;
  switch (outcome.code) {
    case CURLE_OK:
      return absl::StatusCode::kOk;
    case CURLE_OPERATION_TIMEDOUT:
      // Else it was the time to connect, and there may be another address.
      return outcome.out_of_time ? absl::StatusCode::kDeadlineExceeded
                                 : absl::StatusCode::kUnavailable;
    case CURLE_ABORTED_BY_CALLBACK:
      return absl::StatusCode::kCancelled;
    case CURLE_WRITE_ERROR:
      return outcome.too_large ? absl::StatusCode::kResourceExhausted
                               : absl::StatusCode::kInternal;
    // Mistakes of ours, not of the network or the server.
    case CURLE_BAD_FUNCTION_ARGUMENT:
    case CURLE_FAILED_INIT:
    case CURLE_NOT_BUILT_IN:
    case CURLE_OUT_OF_MEMORY:
    case CURLE_UNKNOWN_OPTION:
    case CURLE_URL_MALFORMAT:
      return absl::StatusCode::kInternal;
    default:
      return absl::StatusCode::kUnavailable;
  }
}

// Parts of the detail may be the server's words.
std::string Printable(std::string_view text) {
  std::string kept(text.substr(0, kMaxDetail));
  std::replace_if(
      kept.begin(), kept.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return kept;
}

std::string MessageOf(const CurlOutcome& outcome) {
  if (outcome.not_repeatable) {
    return "the connection was lost before the server answered";
  }
  if (outcome.too_large) return "the response is larger than allowed";
  const std::string detail = Printable(outcome.detail);
  const char* general = curl_easy_strerror(outcome.code);
  return detail.empty() ? general : fmt::format("{}: {}", general, detail);
}

}  // namespace

absl::Status StatusOfCurl(const CurlOutcome& outcome) {
  const absl::StatusCode code = CodeOf(outcome);
  if (code == absl::StatusCode::kOk) return absl::OkStatus();
  absl::Status status(code, MessageOf(outcome));
  return outcome.sent ? status : MarkNotSent(std::move(status));
}

}  // namespace latchkey
