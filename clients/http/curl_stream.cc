#include "clients/http/curl_stream.h"

#include <utility>

#include <fmt/format.h>

#include "core/execution.h"

namespace latchkey {

absl::Status CurlStreamExchange::AwaitHead(absl::Duration timeout) {
  const absl::Time deadline = ExecutionNow() + timeout;
  const MutexLock lock(mutex_);
  while (!has_head_ && !finished_ && !cancelled_) {
    const absl::Duration left = deadline - ExecutionNow();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError("no response in time");
    }
    changed_.WaitFor(mutex_, left);
  }
  if (cancelled_) return EndOfReading();
  return has_head_ ? absl::OkStatus() : std::move(result_);
}

absl::StatusOr<std::string> CurlStreamExchange::Take(absl::Duration timeout,
                                                     bool& resume) {
  const absl::Time deadline = ExecutionNow() + timeout;
  const MutexLock lock(mutex_);
  while (buffer_.empty() && !finished_ && !cancelled_) {
    const absl::Duration left = deadline - ExecutionNow();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError("nothing arrived in time");
    }
    changed_.WaitFor(mutex_, left);
  }
  if (cancelled_ || buffer_.empty()) return EndOfReading();
  resume = std::exchange(paused_, false);
  return std::exchange(buffer_, {});
}

absl::Status CurlStreamExchange::EndOfReading() const {
  if (cancelled_) return absl::CancelledError("the stream was cancelled");
  if (result_.ok()) return absl::OutOfRangeError("the response has ended");
  return absl::UnavailableError(
      fmt::format("the response broke off: {}", result_.ToString()));
}

void CurlStreamExchange::Cancel() {
  const MutexLock lock(mutex_);
  cancelled_ = true;
  changed_.SignalAll();
}

void CurlStreamExchange::OnHead() {
  const MutexLock lock(mutex_);
  has_head_ = true;
  changed_.SignalAll();
}

size_t CurlStreamExchange::OnBody(std::string_view bytes) {
  const MutexLock lock(mutex_);
  if (buffer_.size() >= kMaxBuffered) {
    paused_ = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  buffer_.append(bytes);
  changed_.SignalAll();
  return bytes.size();
}

void CurlStreamExchange::OnFinished(CURLcode code) {
  absl::Status result = StatusOf(code);
  const MutexLock lock(mutex_);
  finished_ = true;
  result_ = std::move(result);
  changed_.SignalAll();
}

CurlStream::~CurlStream() { loop_->End(exchange_); }

absl::StatusOr<std::string> CurlStream::Read(absl::Duration timeout) {
  bool resume = false;
  auto bytes = exchange_->Take(timeout, resume);
  if (resume) loop_->Resume(exchange_);
  return bytes;
}

void CurlStream::Cancel() {
  exchange_->Cancel();
  loop_->End(exchange_);
}

}  // namespace latchkey
