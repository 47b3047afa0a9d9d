// How often each of many callers may call: a token bucket a caller.

#ifndef LATCHKEY_SERVICES_RATE_LIMITER_H_
#define LATCHKEY_SERVICES_RATE_LIMITER_H_

#include <cstddef>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <absl/time/time.h>

#include "core/mutex.h"

namespace latchkey {

struct Rate {
  double per_second = 0;
  // What a caller that was quiet for long may do at once; at least 1.
  double burst = 1;

  bool operator==(const Rate&) const = default;
};

// Safe for concurrent use. Takes constant time and bounded memory, whoever
// calls: of more than `max_callers` the one that has been quiet for longest is
// forgotten, and begins with a full bucket again.
class RateLimiter {
 public:
  explicit RateLimiter(size_t max_callers = 10'000)
      : max_callers_(max_callers) {}

  // Takes `cost` from the bucket of `caller` at `now`: nothing, if it may go
  // on; else how long until it may. A cost above the burst passes when the
  // bucket is full, and is worked off after. `rate` may differ from call to
  // call: a policy was reloaded.
  std::optional<absl::Duration> Take(std::string_view caller, const Rate& rate,
                                     double cost, absl::Time now);

  size_t size() const;

 private:
  struct Bucket {
    std::string caller;
    double tokens;
    absl::Time filled;  // `tokens` is true of this time
  };
  using Buckets = std::list<Bucket>;

  Bucket& BucketOf(std::string_view caller, const Rate& rate, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t max_callers_;
  mutable Mutex mutex_;
  Buckets buckets_ ABSL_GUARDED_BY(mutex_);  // quiet for longest: first
  std::map<std::string_view, Buckets::iterator> bucket_of_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_RATE_LIMITER_H_
