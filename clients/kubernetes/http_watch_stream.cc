#include "clients/kubernetes/http_watch_stream.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/status_macros.h"

namespace latchkey {
namespace {

using std::chrono::steady_clock;

steady_clock::time_point After(absl::Duration duration) {
  const absl::Duration bounded = std::min(duration, absl::Hours(24));
  return steady_clock::now() +
         std::chrono::duration_cast<steady_clock::duration>(
             absl::ToChronoNanoseconds(bounded));
}

}  // namespace

HttpWatchStream::HttpWatchStream(std::unique_ptr<HttpStream> stream,
                                 std::string what, absl::Duration lifetime)
    : stream_(std::move(stream)),
      what_(std::move(what)),
      end_(After(lifetime)),
      frames_(what_) {}

absl::StatusOr<RawWatchEvent> HttpWatchStream::Next(absl::Duration timeout) {
  const SteadyTime deadline = After(timeout);
  while (true) {
    LATCHKEY_ASSIGN_OR_RETURN(auto event, frames_.Next());
    if (event) return *std::move(event);
    LATCHKEY_RETURN_IF_ERROR(Fill(deadline));
  }
}

absl::Status HttpWatchStream::Fill(SteadyTime deadline) {
  const auto now = steady_clock::now();
  const auto left = std::min(deadline, end_) - now;
  const auto bytes =
      stream_->Read(std::max(absl::FromChrono(left), absl::ZeroDuration()));
  if (bytes.ok()) {
    frames_.Append(*bytes);
    return absl::OkStatus();
  }
  const absl::Status& error = bytes.status();
  switch (error.code()) {
    case absl::StatusCode::kCancelled:
      return error;
    case absl::StatusCode::kDeadlineExceeded:
      if (deadline < end_) return error;
      return absl::UnavailableError(
          fmt::format("{}: the server did not end the watch in time", what_));
    default:
      // The end of the body is kOutOfRange, which means 410 in a watch.
      return absl::UnavailableError(
          fmt::format("{}: {}", what_, std::string(error.message())));
  }
}

}  // namespace latchkey
