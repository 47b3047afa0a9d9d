#include "services/rate_limiter.h"

#include <algorithm>

namespace latchkey {

RateLimiter::Bucket& RateLimiter::BucketOf(std::string_view caller,
                                           const Rate& rate, absl::Time now) {
  const auto known = bucket_of_.find(caller);
  if (known != bucket_of_.end()) {
    buckets_.splice(buckets_.end(), buckets_, known->second);
    return *known->second;
  }
  if (buckets_.size() >= max_callers_) {
    bucket_of_.erase(buckets_.front().caller);
    buckets_.pop_front();
  }
  const auto bucket = buckets_.insert(
      buckets_.end(),
      {.caller = std::string(caller), .tokens = rate.burst, .filled = now});
  bucket_of_.emplace(bucket->caller, bucket);
  return *bucket;
}

std::optional<absl::Duration> RateLimiter::Take(std::string_view caller,
                                                const Rate& rate, double cost,
                                                absl::Time now) {
  const MutexLock lock(mutex_);
  Bucket& bucket = BucketOf(caller, rate, now);
  // A clock that is set back fills nothing.
  const absl::Duration passed =
      std::max(now - bucket.filled, absl::ZeroDuration());
  bucket.tokens =
      std::min(bucket.tokens + absl::ToDoubleSeconds(passed) * rate.per_second,
               rate.burst);
  bucket.filled = now;
  const double needed = std::min(cost, rate.burst);
  if (bucket.tokens >= needed) {
    bucket.tokens -= cost;
    return std::nullopt;
  }
  constexpr absl::Duration kLongest = absl::Hours(1);
  if (rate.per_second <= 0) return kLongest;
  return std::min(absl::Seconds((needed - bucket.tokens) / rate.per_second),
                  kLongest);
}

size_t RateLimiter::size() const {
  const MutexLock lock(mutex_);
  return buckets_.size();
}

}  // namespace latchkey
