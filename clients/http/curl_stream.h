// A response that is read as it arrives.

#ifndef LATCHKEY_CLIENTS_HTTP_CURL_STREAM_H_
#define LATCHKEY_CLIENTS_HTTP_CURL_STREAM_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/http/curl_exchange.h"
#include "clients/http/http_client.h"
#include "core/mutex.h"

namespace latchkey {

struct CurlEasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
using CurlEasyPtr = std::unique_ptr<CURL, CurlEasyDeleter>;

// What the loop and the reader share of a stream.
class CurlStreamExchange final : public CurlExchange {
 public:
  // When so much lies unread, the connection is not read until some of it is
  // taken: the server feels it and this process does not grow.
  static constexpr size_t kMaxBuffered = 1 << 20;

  CurlStreamExchange(CURL* easy, const HttpRequest& request, std::string url,
                     const std::string& host)
      : CurlExchange(easy, request, std::move(url), host) {}

  // Waits for the head up to `timeout`, then kDeadlineExceeded.
  absl::Status AwaitHead(absl::Duration timeout);
  // After AwaitHead() succeeded.
  const HttpResponse& head() const { return response(); }
  // As HttpStream::Read(). Sets `resume` if the loop must take the transfer up
  // again.
  absl::StatusOr<std::string> Take(absl::Duration timeout, bool& resume);
  void Cancel();

  void OnFinished(CURLcode code) override;

 private:
  void OnHead() override;
  size_t OnBody(std::string_view bytes) override;
  absl::Status EndOfReading() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  CondVar changed_;
  bool has_head_ ABSL_GUARDED_BY(mutex_) = false;
  bool paused_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status result_ ABSL_GUARDED_BY(mutex_);
  std::string buffer_ ABSL_GUARDED_BY(mutex_);
};

// The reader's end.
class CurlStream final : public HttpStream {
 public:
  CurlStream(std::shared_ptr<CurlLoop> loop,
             std::shared_ptr<CurlStreamExchange> exchange)
      : loop_(std::move(loop)), exchange_(std::move(exchange)) {}
  ~CurlStream() override;

  const HttpResponse& head() const override { return exchange_->head(); }
  absl::StatusOr<std::string> Read(absl::Duration timeout) override;
  void Cancel() override;

 private:
  // Keeps the loop alive for a stream that outlives its client.
  std::shared_ptr<CurlLoop> loop_;
  std::shared_ptr<CurlStreamExchange> exchange_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_HTTP_CURL_STREAM_H_
