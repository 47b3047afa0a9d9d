#include "policy/live_policy.h"

#include <utility>

namespace latchkey {

LivePolicy::LivePolicy(Policy policy)
    : policy_(std::make_shared<const Policy>(std::move(policy))) {}

std::shared_ptr<const Policy> LivePolicy::Current() const {
  const MutexLock lock(mutex_);
  return policy_;
}

void LivePolicy::Replace(Policy policy) {
  auto next = std::make_shared<const Policy>(std::move(policy));
  const MutexLock lock(mutex_);
  policy_.swap(next);
}

}  // namespace latchkey
