// A thread that is joined when its handle goes.

#ifndef LATCHKEY_CORE_THREAD_H_
#define LATCHKEY_CORE_THREAD_H_

#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "core/execution.h"

namespace latchkey {

class Thread {
 public:
  // Throws std::system_error if the system has no thread to give.
  explicit Thread(std::function<void()> body) {
    if (Execution* const execution = Execution::Current()) {
      task_ = execution->Start(std::move(body));
    } else {
      thread_ = std::jthread(std::move(body));
    }
  }
  Thread(Thread&&) noexcept = default;
  Thread& operator=(Thread&&) = delete;
  ~Thread() {
    if (task_ != nullptr) task_->Join();
  }

 private:
  std::jthread thread_;
  std::shared_ptr<Execution::Task> task_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CORE_THREAD_H_
