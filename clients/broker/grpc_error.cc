#include "clients/broker/grpc_error.h"

#include <string>

#include <absl/time/time.h>

#include "core/refusal.h"
#include "google/rpc/error_details.pb.h"

namespace latchkey {
namespace {

constexpr char kDomain[] = "latchkey.dev";

}  // namespace

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  absl::Status result(code, status.error_message());
  google::rpc::Status wire;
  if (!wire.ParseFromString(status.error_details())) return result;
  for (const auto& detail : wire.details()) {
    if (google::rpc::ErrorInfo info;
        detail.UnpackTo(&info) && info.domain() == kDomain) {
      result = Refuse(code, info.reason(), status.error_message(),
                      {info.metadata().begin(), info.metadata().end()});
    }
  }
  for (const auto& detail : wire.details()) {
    if (google::rpc::RetryInfo retry; detail.UnpackTo(&retry)) {
      result = WithRetryAfter(
          result, absl::Seconds(retry.retry_delay().seconds()) +
                      absl::Nanoseconds(retry.retry_delay().nanos()));
    }
  }
  return result;
}

}  // namespace latchkey
