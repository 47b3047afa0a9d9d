#include "devcluster/watch_body.h"

#include "devcluster/api_error.h"
#include "devcluster/object_encoding.h"

namespace latchkey {

bool WatchBody::Read(size_t limit, std::string& frames) {
  while (frames.size() < limit) {
    const auto change = watch_->Poll();
    if (!change.ok()) {
      // The ordinary end of a watch is the end of the response.
      if (change.status().code() != absl::StatusCode::kUnavailable) {
        frames += EncodeWatchError(type_, KubernetesStatusOf(change.status()));
      }
      return false;
    }
    if (!change->has_value()) return true;
    frames += EncodeChange(type_, resource_, **change);
  }
  return true;
}

}  // namespace latchkey
