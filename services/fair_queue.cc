#include "services/fair_queue.h"

#include <algorithm>
#include <system_error>

namespace latchkey {

FairQueue::FairQueue(Options options)
    : options_(options),
      max_running_of_one_(options.max_running_of_one == 0
                              ? options.threads
                              : options.max_running_of_one) {}

FairQueue::~FairQueue() {
  std::vector<Thread> threads;
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
    auto line = lines_.find(caller);
    if (line != lines_.end()) {
      const size_t own =
          std::min(free, max_running_of_one_ - line->second.running);
      if (line->second.tasks.size() >= options_.max_waiting_of_one + own) {
        return false;
      }
    }
    if (!HasThread()) return false;
    if (line == lines_.end())
      line = lines_.try_emplace(std::string(caller)).first;
    line->second.tasks.push_back(std::move(task));
    ++waiting_;
    TakeTurn(line);
    if (!ShouldWake()) return true;
  }
  wake_.SignalOne();
  return true;
}

FairQueue::Load FairQueue::load() const {
  const MutexLock lock(mutex_);
  return {.waiting = waiting_, .busy = busy_};
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

bool FairQueue::ShouldWake() {
  if (waking_ || sleeping_ == 0 || turns_.empty()) return false;
  waking_ = true;
  return true;
}

void FairQueue::TakeTurn(LinePtr line) {
  Line& one = line->second;
  if (one.in_turn || one.tasks.empty() || one.running >= max_running_of_one_) {
    return;
  }
  one.in_turn = true;
  turns_.push_back(line);
}

std::pair<FairQueue::LinePtr, std::function<void()>> FairQueue::Begin() {
  const LinePtr line = turns_.front();
  turns_.pop_front();
  Line& one = line->second;
  one.in_turn = false;
  std::function<void()> task = std::move(one.tasks.front());
  one.tasks.pop_front();
  ++one.running;
  --waiting_;
  ++busy_;
  TakeTurn(line);
  return {line, std::move(task)};
}

void FairQueue::End(LinePtr line) {
  --busy_;
  Line& one = line->second;
  --one.running;
  if (one.running == 0 && one.tasks.empty()) {
    lines_.erase(line);
    return;
  }
  // At its limit until now, it may have tasks that no thread was woken for; the
  // thread that calls this takes one.
  TakeTurn(line);
}

void FairQueue::RunTasks() {
  while (true) {
    std::pair<LinePtr, std::function<void()>> next;
    bool wake = false;
    {
      const MutexLock lock(mutex_);
      while (turns_.empty() && !(stopping_ && waiting_ == 0)) {
        ++sleeping_;
        wake_.Wait(mutex_);
        --sleeping_;
        waking_ = false;
      }
      if (turns_.empty()) return;
      next = Begin();
      // Those that wait for the last task to be taken may go home.
      if (stopping_ && waiting_ == 0) wake_.SignalAll();
      wake = ShouldWake();
    }
    if (wake) wake_.SignalOne();
    next.second();
    next.second = nullptr;  // what it holds goes while the thread still counts
                            // as busy
    const MutexLock lock(mutex_);
    End(next.first);
  }
}

}  // namespace latchkey
