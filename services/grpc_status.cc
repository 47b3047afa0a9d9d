#include "services/grpc_status.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include <absl/time/time.h>

#include "clients/log/event_log.h"
#include "core/execution.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "google/rpc/error_details.pb.h"

namespace latchkey {
namespace {

constexpr char kDomain[] = "latchkey.dev";

// Reasons that pass by themselves, and after what time it is worth asking.
struct UsualDelay {
  std::string_view reason;
  absl::Duration delay;
};
constexpr std::array<UsualDelay, 4> kUsualDelays = {{
    {reason::kOverloaded, absl::Seconds(1)},
    {reason::kAuditUnavailable, absl::Seconds(1)},
    {reason::kBrokerStopping, absl::Seconds(1)},
    {reason::kTooManyWatches, absl::Seconds(10)},
}};

// Used up, so far as one caller, or all of them, may use it.
bool IsQuota(std::string_view reason) {
  return reason == reason::kQuotaOutstanding ||
         reason == reason::kTooManyWatches;
}

// What a caller hears of an error that is no refusal.
absl::Status PublicForm(const absl::Status& status) {
  absl::Status shown;
  switch (status.code()) {
    case absl::StatusCode::kResourceExhausted:
      shown = Refuse(absl::StatusCode::kResourceExhausted, reason::kOverloaded,
                     "the cluster is overloaded; try again later");
      break;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kAborted:
      shown =
          Refuse(absl::StatusCode::kUnavailable, reason::kClusterUnavailable,
                 "the cluster's API server did not answer; try again");
      break;
    default:
      shown = Refuse(absl::StatusCode::kInternal, reason::kInternal,
                     "internal error; the broker's log says more");
      break;
  }
  return WithRetryAfter(shown, RetryAfterOf(status));
}

std::string EncodeDetails(const absl::Status& status) {
  google::rpc::Status wire;
  wire.set_code(status.raw_code());
  wire.set_message(std::string(status.message()));
  google::rpc::ErrorInfo info;
  info.set_reason(ReasonOf(status));
  info.set_domain(kDomain);
  const RefusalMetadata metadata = MetadataOf(status);
  for (const auto& [key, value] : metadata) {
    (*info.mutable_metadata())[key] = value;
  }
  wire.add_details()->PackFrom(info);
  if (const auto delay = RetryDelayOf(status)) {
    google::rpc::RetryInfo retry;
    *retry.mutable_retry_delay() = *delay;
    wire.add_details()->PackFrom(retry);
  }
  if (const auto field = metadata.find("field");
      field != metadata.end() &&
      status.code() == absl::StatusCode::kInvalidArgument) {
    google::rpc::BadRequest bad;
    auto& violation = *bad.add_field_violations();
    violation.set_field(field->second);
    violation.set_description(std::string(status.message()));
    wire.add_details()->PackFrom(bad);
  }
  if (IsQuota(ReasonOf(status))) {
    google::rpc::QuotaFailure quota;
    auto& violation = *quota.add_violations();
    const auto rule = metadata.find("rule");
    violation.set_subject(rule == metadata.end() ? "watches"
                                                 : "rule:" + rule->second);
    violation.set_description(std::string(status.message()));
    wire.add_details()->PackFrom(quota);
  }
  if (status.code() == absl::StatusCode::kFailedPrecondition) {
    google::rpc::PreconditionFailure failure;
    auto& violation = *failure.add_violations();
    violation.set_type(ReasonOf(status));
    const auto token = metadata.find("token");
    violation.set_subject(token == metadata.end() ? "" : token->second);
    violation.set_description(std::string(status.message()));
    wire.add_details()->PackFrom(failure);
  }
  return wire.SerializeAsString();
}

}  // namespace

absl::Status PublicStatus(const absl::Status& status) {
  if (status.ok()) return status;
  const std::string why = ReasonOf(status);
  // Whoever is refused here is a stranger, who shall not learn from which check
  // how to pass it.
  if (why == reason::kUnauthenticated) {
    return Refuse(absl::StatusCode::kUnauthenticated, why,
                  "not authenticated: bring a client certificate or a bearer "
                  "token that is valid now and that this broker accepts; its "
                  "operator finds in the audit log what is wrong with yours");
  }
  if (!why.empty()) return status;
  LogEvent(LogLevel::kWarning, "call failed", {{"status", status.ToString()}});
  return PublicForm(status);
}

std::optional<google::protobuf::Duration> RetryDelayOf(
    const absl::Status& shown) {
  std::optional<absl::Duration> least = RetryAfterOf(shown);
  const std::string reason = ReasonOf(shown);
  for (const UsualDelay& usual : kUsualDelays) {
    if (!least.has_value() && usual.reason == reason) least = usual.delay;
  }
  if (!least.has_value()) return std::nullopt;
  const absl::Duration drawn =
      absl::Ceil(*least * (1 + DrawFraction()), absl::Milliseconds(1));
  google::protobuf::Duration message;
  const int64_t seconds = absl::ToInt64Seconds(drawn);
  message.set_seconds(seconds);
  message.set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(drawn - absl::Seconds(seconds))));
  return message;
}

absl::Status Overloaded() {
  return Refuse(absl::StatusCode::kResourceExhausted, reason::kOverloaded,
                "the broker has more calls than it can hold");
}

absl::Status CallerGone() {
  return Refuse(absl::StatusCode::kCancelled, reason::kCallerGone,
                "the caller gave up");
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const absl::Status shown = PublicStatus(status);
  return {static_cast<grpc::StatusCode>(shown.raw_code()),
          std::string(shown.message()), EncodeDetails(shown)};
}

}  // namespace latchkey
