#include "core/thread_pool.h"

#include <system_error>
#include <utility>

namespace latchkey {

ThreadPool::ThreadPool(Options options) : options_(options) {}

ThreadPool::~ThreadPool() {
  std::vector<Thread> threads;
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    threads.swap(threads_);
  }
  wake_.SignalAll();
}

bool ThreadPool::TrySubmit(std::function<void()> task) {
  {
    const MutexLock lock(mutex_);
    const size_t free = options_.threads - busy_;
    if (stopping_ || queue_.size() >= options_.max_queued + free) return false;
    if (threads_.size() < options_.threads &&
        threads_.size() < busy_ + queue_.size() + 1) {
      try {
        threads_.emplace_back([this] { RunTasks(); });
      } catch (const std::system_error&) {
        // The system has no more threads to give; those there are will do.
        if (threads_.empty()) return false;
      }
    }
    queue_.push_back(std::move(task));
  }
  wake_.SignalOne();
  return true;
}

void ThreadPool::RunTasks() {
  while (true) {
    std::function<void()> task;
    {
      const MutexLock lock(mutex_);
      while (queue_.empty() && !stopping_) wake_.Wait(mutex_);
      if (queue_.empty()) return;
      task = std::move(queue_.front());
      queue_.pop_front();
      ++busy_;
    }
    task();
    task = nullptr;  // what it holds goes while the thread still counts as busy
    const MutexLock lock(mutex_);
    --busy_;
  }
}

}  // namespace latchkey
