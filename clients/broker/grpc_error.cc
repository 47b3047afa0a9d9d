#include "clients/broker/grpc_error.h"

#include <algorithm>
#include <optional>
#include <string>

#include <absl/time/time.h>

#include "core/refusal.h"
#include "google/rpc/error_details.pb.h"

namespace latchkey {
namespace {

constexpr char kDomain[] = "latchkey.dev";
// A broken server could otherwise put a node to sleep for good.
constexpr absl::Duration kLongestDelay = absl::Minutes(5);

}  // namespace

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  // The two libraries number the codes alike.
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  absl::Status result(code, status.error_message());
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return result;

  std::optional<absl::Duration> delay;
  for (const google::protobuf::Any& detail : details.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::RetryInfo retry;
    if (detail.UnpackTo(&info) && info.domain() == kDomain) {
      result = Refuse(
          code, info.reason(), status.error_message(),
          RefusalMetadata(info.metadata().begin(), info.metadata().end()));
    } else if (detail.UnpackTo(&retry)) {
      delay = absl::Seconds(retry.retry_delay().seconds()) +
              absl::Nanoseconds(retry.retry_delay().nanos());
    }
  }
  if (delay && *delay > absl::ZeroDuration()) {
    result = WithRetryAfter(result, std::min(*delay, kLongestDelay));
  }
  return result;
}

}  // namespace latchkey
