// The policy as it is now: it may be replaced while calls are decided by it.

#ifndef LATCHKEY_POLICY_LIVE_POLICY_H_
#define LATCHKEY_POLICY_LIVE_POLICY_H_

#include <memory>

#include "core/mutex.h"
#include "policy/policy.h"

namespace latchkey {

// Safe for concurrent use. A decision takes one Current() and stays with it.
class LivePolicy {
 public:
  explicit LivePolicy(Policy policy);

  std::shared_ptr<const Policy> Current() const;
  void Replace(Policy policy);

 private:
  mutable Mutex mutex_;
  std::shared_ptr<const Policy> policy_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace latchkey

#endif  // LATCHKEY_POLICY_LIVE_POLICY_H_
