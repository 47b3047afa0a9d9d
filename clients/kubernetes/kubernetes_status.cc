#include "clients/kubernetes/kubernetes_status.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include <absl/strings/cord.h>
#include <fmt/format.h>

#include "clients/http/http_status.h"
#include "clients/kubernetes/envelope.h"
#include "core/refusal.h"

namespace latchkey {
namespace {

constexpr size_t kMaxMessage = 512;
constexpr absl::string_view kNoStatusUrl = "latchkey.dev/no-kubernetes-status";

struct ReasonCode {
  std::string_view reason;
  absl::StatusCode code;
};

// metav1.StatusReason, where it says more than, or other than, the HTTP code.
constexpr ReasonCode kReasonCodes[] = {
    {"AlreadyExists", absl::StatusCode::kAlreadyExists},
    {"BadRequest", absl::StatusCode::kInvalidArgument},
    {"Conflict", absl::StatusCode::kAborted},
    {"Expired", absl::StatusCode::kOutOfRange},
    {"Forbidden", absl::StatusCode::kPermissionDenied},
    {"Gone", absl::StatusCode::kOutOfRange},
    {"InternalError", absl::StatusCode::kInternal},
    {"Invalid", absl::StatusCode::kInvalidArgument},
    {"NotFound", absl::StatusCode::kNotFound},
    {"ServerTimeout", absl::StatusCode::kUnavailable},
    {"ServiceUnavailable", absl::StatusCode::kUnavailable},
    {"Timeout", absl::StatusCode::kDeadlineExceeded},
    {"TooManyRequests", absl::StatusCode::kResourceExhausted},
    {"Unauthorized", absl::StatusCode::kUnauthenticated},
};

// A version of another past of the cluster. It comes as a Timeout, but to wait
// does not help: to list again does.
bool IsOfTooNewVersion(const kubernetes::Status& error) {
  const auto& causes = error.details().causes();
  return std::any_of(causes.begin(), causes.end(), [](const auto& cause) {
    return cause.reason() == "ResourceVersionTooLarge";
  });
}

absl::StatusCode CodeOf(const kubernetes::Status& error) {
  if (IsOfTooNewVersion(error)) return absl::StatusCode::kOutOfRange;
  for (const ReasonCode& known : kReasonCodes) {
    if (error.reason() == known.reason) return known.code;
  }
  const absl::StatusCode code = StatusCodeOfHttp(error.code());
  // It came as an error, whatever its code says.
  return code == absl::StatusCode::kOk ? absl::StatusCode::kInternal : code;
}

std::string Printable(std::string_view text) {
  std::string kept(text.substr(0, kMaxMessage));
  std::replace_if(
      kept.begin(), kept.end(), [](char c) { return c < ' ' || c == 0x7f; },
      ' ');
  return kept;
}

// Which fields are wrong, and how. The server's own message holds their values
// too, and those may be secret.
std::string FieldsAtFault(const kubernetes::Status& error) {
  std::string text = "the object is invalid";
  for (const kubernetes::StatusCause& cause : error.details().causes()) {
    text += fmt::format("; {}: {}", cause.field(), cause.reason());
  }
  return text;
}

std::optional<kubernetes::Status> DecodeStatus(std::string_view body) {
  const auto envelope = OpenEnvelope(body);
  if (!envelope.ok() || envelope->kind != "Status") return std::nullopt;
  kubernetes::Status error;
  const int size = static_cast<int>(envelope->raw.size());
  if (!error.ParseFromArray(envelope->raw.data(), size)) return std::nullopt;
  return error;
}

}  // namespace

absl::Status StatusOfKubernetes(const kubernetes::Status& error,
                                std::string_view what) {
  const std::string why = error.reason() == "Invalid" || error.code() == 422
                              ? FieldsAtFault(error)
                              : error.message();
  const absl::Status status(CodeOf(error),
                            Printable(fmt::format("{}: {}", what, why)));
  const int seconds = error.details().retry_after_seconds();
  if (seconds <= 0) return status;
  return WithRetryAfter(status,
                        std::min(absl::Seconds(seconds), absl::Hours(1)));
}

absl::Status StatusOfResponse(const HttpResponse& response,
                              std::string_view what) {
  const absl::StatusCode code = StatusCodeOfHttp(response.status);
  if (code == absl::StatusCode::kOk) return absl::OkStatus();
  const std::optional<absl::Duration> delay = RetryAfterOfResponse(response);
  if (const auto error = DecodeStatus(response.body)) {
    return WithRetryAfter(StatusOfKubernetes(*error, what), delay);
  }
  absl::Status status(code, fmt::format("{}: the server answered HTTP {}", what,
                                        response.status));
  status.SetPayload(kNoStatusUrl, absl::Cord("1"));
  return WithRetryAfter(std::move(status), delay);
}

bool IsWithoutKubernetesStatus(const absl::Status& error) {
  return error.GetPayload(kNoStatusUrl).has_value();
}

absl::Status BelieveNotFoundOnlyWithStatus(absl::Status error) {
  if (!absl::IsNotFound(error) || !IsWithoutKubernetesStatus(error)) {
    return error;
  }
  absl::Status unavailable = absl::UnavailableError(
      fmt::format("{}, and not in an API server's words; is there a proxy "
                  "before it?",
                  std::string(error.message())));
  unavailable.SetPayload(kNoStatusUrl, absl::Cord("1"));
  return unavailable;
}

}  // namespace latchkey
