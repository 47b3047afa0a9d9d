#include "services/grpc_status.h"

#include <optional>
#include <string>

#include <absl/time/time.h>

#include "clients/log/event_log.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "google/rpc/error_details.pb.h"

namespace latchkey {
namespace {

constexpr char kDomain[] = "latchkey.dev";

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
  if (const auto delay = RetryAfterOf(status)) {
    shown = WithRetryAfter(shown, *delay);
  }
  return shown;
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
  if (const auto delay = RetryAfterOf(status)) {
    google::rpc::RetryInfo retry;
    // To the millisecond: rounded to seconds, callers that were told different
    // times would come back together.
    const absl::Duration rounded = absl::Ceil(*delay, absl::Milliseconds(1));
    const int64_t seconds = absl::ToInt64Seconds(rounded);
    retry.mutable_retry_delay()->set_seconds(seconds);
    retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(
        absl::ToInt64Nanoseconds(rounded - absl::Seconds(seconds))));
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
  if (ReasonOf(status) == reason::kQuotaOutstanding) {
    google::rpc::QuotaFailure quota;
    auto& violation = *quota.add_violations();
    if (const auto rule = metadata.find("rule"); rule != metadata.end()) {
      violation.set_subject("rule:" + rule->second);
    }
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
  if (status.ok() || !ReasonOf(status).empty()) return status;
  LogEvent(LogLevel::kWarning, "call failed", {{"status", status.ToString()}});
  return PublicForm(status);
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
