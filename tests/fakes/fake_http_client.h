// An HttpClient whose answers a test writes.

#ifndef LATCHKEY_TESTS_FAKES_FAKE_HTTP_CLIENT_H_
#define LATCHKEY_TESTS_FAKES_FAKE_HTTP_CLIENT_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "clients/http/http_client.h"
#include "core/mutex.h"

namespace latchkey_testing {

// Safe for concurrent use. Streams answer their bytes in one piece.
class FakeHttpClient final : public latchkey::HttpClient {
 public:
  using Handler = std::function<absl::StatusOr<latchkey::HttpResponse>(
      const latchkey::HttpRequest&)>;

  explicit FakeHttpClient(Handler handler) : handler_(std::move(handler)) {}

  absl::StatusOr<latchkey::HttpResponse> Send(
      const latchkey::HttpRequest& request) override {
    {
      const latchkey::MutexLock lock(mutex_);
      requests_.push_back(request);
    }
    return handler_(request);
  }

  absl::StatusOr<std::unique_ptr<latchkey::HttpStream>> OpenStream(
      const latchkey::HttpRequest& request) override {
    auto response = Send(request);
    if (!response.ok()) return response.status();
    return std::make_unique<Stream>(*std::move(response));
  }

  std::vector<latchkey::HttpRequest> requests() const {
    const latchkey::MutexLock lock(mutex_);
    return requests_;
  }

 private:
  class Stream final : public latchkey::HttpStream {
   public:
    explicit Stream(latchkey::HttpResponse response)
        : bytes_(std::exchange(response.body, {})),
          head_(std::move(response)) {}

    const latchkey::HttpResponse& head() const override { return head_; }
    absl::StatusOr<std::string> Read(absl::Duration /*timeout*/) override {
      if (cancelled_) return absl::CancelledError("cancelled");
      if (bytes_.empty()) return absl::OutOfRangeError("the end");
      return std::exchange(bytes_, {});
    }
    void Cancel() override { cancelled_ = true; }

   private:
    std::string bytes_;
    const latchkey::HttpResponse head_;
    bool cancelled_ = false;
  };

  const Handler handler_;
  mutable latchkey::Mutex mutex_;
  std::vector<latchkey::HttpRequest> requests_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_FAKES_FAKE_HTTP_CLIENT_H_
