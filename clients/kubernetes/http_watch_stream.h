// A watch over an HTTP stream.

#ifndef LATCHKEY_CLIENTS_KUBERNETES_HTTP_WATCH_STREAM_H_
#define LATCHKEY_CLIENTS_KUBERNETES_HTTP_WATCH_STREAM_H_

#include <chrono>
#include <memory>
#include <string>

#include "clients/http/http_client.h"
#include "clients/kubernetes/kubernetes_client.h"
#include "clients/kubernetes/watch_frames.h"

namespace latchkey {

class HttpWatchStream final : public WatchStream {
 public:
  // `stream` has answered 200. The watch is over after `lifetime`, in case the
  // server does not end it, or neither of us notices that it did.
  HttpWatchStream(std::unique_ptr<HttpStream> stream, std::string what,
                  absl::Duration lifetime);

  absl::StatusOr<RawWatchEvent> Next(absl::Duration timeout) override;
  void Cancel() override { stream_->Cancel(); }

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;
  // Reads more bytes, until `deadline`.
  absl::Status Fill(SteadyTime deadline);

  const std::unique_ptr<HttpStream> stream_;
  const std::string what_;
  const SteadyTime end_;
  WatchFrameReader frames_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_KUBERNETES_HTTP_WATCH_STREAM_H_
