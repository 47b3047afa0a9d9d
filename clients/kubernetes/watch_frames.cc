#include "clients/kubernetes/watch_frames.h"

#include <cstdint>

#include <fmt/format.h>

#include "clients/kubernetes/envelope.h"
#include "clients/kubernetes/kubernetes_status.h"
#include "core/status_macros.h"
#include "kubernetes/meta.pb.h"

namespace latchkey {
namespace {

constexpr size_t kLengthBytes = 4;

size_t LengthOf(std::string_view bytes) {
  size_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) {
    length = length << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return length;
}

std::optional<WatchEventType> TypeOf(std::string_view name) {
  if (name == "ADDED") return WatchEventType::kAdded;
  if (name == "MODIFIED") return WatchEventType::kModified;
  if (name == "DELETED") return WatchEventType::kDeleted;
  if (name == "BOOKMARK") return WatchEventType::kBookmark;
  return std::nullopt;
}

}  // namespace

void WatchFrameReader::Append(std::string_view bytes) {
  // Moved up only when something new arrives: a burst of small frames in one
  // read is taken apart without copying its rest each time.
  buffer_.erase(0, std::exchange(used_, 0));
  buffer_.append(bytes);
}

absl::StatusOr<std::optional<RawWatchEvent>> WatchFrameReader::Next() {
  const std::string_view rest = std::string_view(buffer_).substr(used_);
  if (rest.size() < kLengthBytes) return std::nullopt;
  const size_t length = LengthOf(rest);
  if (length > kMaxFrameBytes) return Broken("a frame is too large");
  if (rest.size() - kLengthBytes < length) return std::nullopt;
  used_ += kLengthBytes + length;
  LATCHKEY_ASSIGN_OR_RETURN(RawWatchEvent event,
                            DecodeFrame(rest.substr(kLengthBytes, length)));
  return event;
}

absl::StatusOr<RawWatchEvent> WatchFrameReader::DecodeFrame(
    std::string_view frame) const {
  kubernetes::WatchEvent event;
  if (!event.ParseFromArray(frame.data(), static_cast<int>(frame.size()))) {
    return Broken("a frame is not an event");
  }
  const auto object = OpenEnvelope(event.object().raw());
  if (!object.ok()) return Broken("an event has no object");
  if (event.type() == "ERROR") {
    kubernetes::Status error;
    const int size = static_cast<int>(object->raw.size());
    if (!error.ParseFromArray(object->raw.data(), size)) {
      return Broken("an error cannot be decoded");
    }
    return StatusOfKubernetes(error, what_);
  }
  const auto type = TypeOf(event.type());
  if (!type) return Broken("an event is of an unknown type");
  return RawWatchEvent{*type, std::string(object->raw)};
}

absl::Status WatchFrameReader::Broken(std::string_view why) const {
  return absl::InternalError(fmt::format("{}: {}", what_, why));
}

}  // namespace latchkey
