#include "clients/ctl/item_error.h"

#include "core/refusal.h"

namespace latchkey {

absl::Status StatusOf(const v1::ItemError& error) {
  const auto code = static_cast<absl::StatusCode>(error.code());
  absl::Status status =
      error.reason().empty()
          ? absl::Status(code, error.message())
          : Refuse(code, error.reason(), error.message(),
                   {error.metadata().begin(), error.metadata().end()});
  if (status.ok()) {
    status = absl::InternalError("the broker's answer makes no sense");
  }
  if (!error.has_retry_delay()) return status;
  return WithRetryAfter(status,
                        absl::Seconds(error.retry_delay().seconds()) +
                            absl::Nanoseconds(error.retry_delay().nanos()));
}

}  // namespace latchkey
