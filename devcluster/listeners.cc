#include "devcluster/listeners.h"

#include <utility>

namespace latchkey {

struct Listeners::Listener {
  Mutex mutex;
  std::function<void()> function ABSL_GUARDED_BY(mutex);  // null: gone
};

std::shared_ptr<void> Listeners::Add(std::function<void()> listener) {
  auto added = std::make_shared<Listener>();
  {
    const MutexLock lock(added->mutex);
    added->function = std::move(listener);
  }
  {
    const MutexLock lock(mutex_);
    std::erase_if(listeners_,
                  [](const auto& known) { return known.expired(); });
    listeners_.push_back(added);
  }
  // CallAll() may hold a reference of its own, so the handle says when it ends.
  return {added.get(), [added](Listener* ended) {
            const MutexLock lock(ended->mutex);
            ended->function = nullptr;
          }};
}

void Listeners::CallAll() {
  std::vector<std::shared_ptr<Listener>> called;
  {
    const MutexLock lock(mutex_);
    called.reserve(listeners_.size());
    for (const auto& known : listeners_) {
      if (auto listener = known.lock()) called.push_back(std::move(listener));
    }
  }
  for (const auto& listener : called) {
    const MutexLock lock(listener->mutex);
    if (listener->function != nullptr) listener->function();
  }
}

}  // namespace latchkey
