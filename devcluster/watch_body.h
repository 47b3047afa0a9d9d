// The body of a watch's response: the frames of an ApiWatch.

#ifndef LATCHKEY_DEVCLUSTER_WATCH_BODY_H_
#define LATCHKEY_DEVCLUSTER_WATCH_BODY_H_

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include <absl/time/time.h>

#include "devcluster/api_server.h"
#include "devcluster/media_type.h"

namespace latchkey {

// For one thread at a time.
class WatchBody {
 public:
  WatchBody(MediaType type, const Resource& resource,
            std::unique_ptr<ApiWatch> watch, absl::Duration timeout)
      : type_(type),
        resource_(resource),
        watch_(std::move(watch)),
        timeout_(timeout) {}

  // After this time the response is to be ended.
  absl::Duration timeout() const { return timeout_; }

  // Appends the frames that there are, until `frames` holds at least `limit`
  // bytes. False: these are the last.
  bool Read(size_t limit, std::string& frames);

 private:
  const MediaType type_;
  const Resource& resource_;
  const std::unique_ptr<ApiWatch> watch_;
  const absl::Duration timeout_;
};

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_WATCH_BODY_H_
