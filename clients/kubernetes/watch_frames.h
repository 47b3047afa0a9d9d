// The framing of a watch in protobuf: each event is a length of four bytes,
// most significant first, and a WatchEvent without an envelope, whose object
// has one.

#ifndef LATCHKEY_CLIENTS_KUBERNETES_WATCH_FRAMES_H_
#define LATCHKEY_CLIENTS_KUBERNETES_WATCH_FRAMES_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "clients/kubernetes/kubernetes_client.h"

namespace latchkey {

// Not safe for concurrent use.
class WatchFrameReader {
 public:
  // As for every client of the API server.
  static constexpr size_t kMaxFrameBytes = 16 << 20;

  // `what` begins the messages of errors, e.g. "watch secrets".
  explicit WatchFrameReader(std::string what) : what_(std::move(what)) {}

  void Append(std::string_view bytes);

  // The next event that is there as a whole; nullopt: more bytes are needed.
  // An ERROR event is the status of the Status that it holds. kInternal: what
  // arrived is no watch; nothing after it can be read.
  absl::StatusOr<std::optional<RawWatchEvent>> Next();

 private:
  absl::StatusOr<RawWatchEvent> DecodeFrame(std::string_view frame) const;
  absl::Status Broken(std::string_view why) const;

  const std::string what_;
  std::string buffer_;
  size_t used_ = 0;  // bytes of the buffer that were answered
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_KUBERNETES_WATCH_FRAMES_H_
