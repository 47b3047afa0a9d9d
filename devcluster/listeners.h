// Whoever wants to hear that something happened.

#ifndef LATCHKEY_DEVCLUSTER_LISTENERS_H_
#define LATCHKEY_DEVCLUSTER_LISTENERS_H_

#include <functional>
#include <memory>
#include <vector>

#include "core/mutex.h"

namespace latchkey {

// Safe for concurrent use. A listener is called by one thread at a time.
class Listeners {
 public:
  // Calls `listener` from now on, until the handle is destroyed; that waits for
  // a call in hand, so a listener must not destroy its own handle.
  std::shared_ptr<void> Add(std::function<void()> listener);

  // Calls all of them on this thread. Hold no lock that one of them may want.
  void CallAll();

 private:
  struct Listener;

  Mutex mutex_;
  std::vector<std::weak_ptr<Listener>> listeners_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_LISTENERS_H_
