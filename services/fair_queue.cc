#include "services/fair_queue.h"

#include <system_error>
#include <utility>

namespace latchkey {

FairQueue::FairQueue(Options options) : options_(options) {}

FairQueue::~FairQueue() {
  std::vector<std::jthread> threads;
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    threads.swap(threads_);
  }
  wake_.SignalAll();
}

bool FairQueue::TrySubmit(std::string_view caller, std::function<void()> task) {
  {
    const MutexLock lock(mutex_);
    const size_t free = options_.threads - busy_;
    if (stopping_ || waiting_ >= options_.max_waiting + free) return false;
    const auto known = line_of_.find(caller);
    if (known != line_of_.end() &&
        known->second->tasks.size() >= options_.max_waiting_of_one + free) {
      return false;
    }
    if (!HasThread()) return false;
    const auto line =
        known != line_of_.end()
            ? known->second
            : lines_.insert(lines_.end(),
                            {.caller = std::string(caller), .tasks = {}});
    if (known == line_of_.end()) line_of_.emplace(caller, line);
    line->tasks.push_back(std::move(task));
    ++waiting_;
  }
  wake_.SignalOne();
  return true;
}

bool FairQueue::HasThread() {
  if (threads_.size() < options_.threads &&
      threads_.size() < busy_ + waiting_ + 1) {
    try {
      threads_.emplace_back([this] { RunTasks(); });
    } catch (const std::system_error&) {
      // The system has no more threads to give; those there are will do.
    }
  }
  return !threads_.empty();
}

std::function<void()> FairQueue::TakeNext() {
  const auto line = lines_.begin();
  std::function<void()> task = std::move(line->tasks.front());
  line->tasks.pop_front();
  --waiting_;
  if (line->tasks.empty()) {
    line_of_.erase(line->caller);
    lines_.erase(line);
  } else {
    lines_.splice(lines_.end(), lines_, line);
  }
  return task;
}

void FairQueue::RunTasks() {
  while (true) {
    std::function<void()> task;
    {
      const MutexLock lock(mutex_);
      while (waiting_ == 0 && !stopping_) wake_.Wait(mutex_);
      if (waiting_ == 0) return;
      task = TakeNext();
      ++busy_;
    }
    task();
    task = nullptr;  // what it holds goes while the thread still counts as busy
    const MutexLock lock(mutex_);
    --busy_;
  }
}

}  // namespace latchkey
