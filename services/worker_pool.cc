#include "services/worker_pool.h"

#include <algorithm>
#include <utility>

#include "core/execution.h"

namespace latchkey {
namespace {

constexpr absl::Duration kMaxAsked = absl::Seconds(30);

// Spreads retries of many brokers.
absl::Duration Jittered(absl::Duration delay) {
  return delay * (1 + DrawFraction());
}

}  // namespace

WorkerPool::WorkerPool(Options options, const Clock& clock, Work work)
    : options_(options), clock_(clock), work_(std::move(work)) {
  for (int i = 0; i < options_.threads; ++i) {
    threads_.emplace_back([this] { Run(); });
  }
}

WorkerPool::~WorkerPool() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.SignalAll();
  threads_.clear();
}

void WorkerPool::Add(const WorkSchedule::Item& item) {
  {
    const MutexLock lock(mutex_);
    schedule_.Add(item);
  }
  wake_.SignalOne();
}

void WorkerPool::AddAt(const WorkSchedule::Item& item, absl::Time when) {
  {
    const MutexLock lock(mutex_);
    const absl::Time next = schedule_.NextTime();
    schedule_.AddAt(item, when);
    // Threads that wait do so until `next` at most.
    if (schedule_.NextTime() >= next) return;
  }
  wake_.SignalOne();
}

WorkerPool::Load WorkerPool::load() const {
  const MutexLock lock(mutex_);
  return {.waiting = schedule_.ReadyAt(clock_.Now()),
          .retrying = due_retries_.size()};
}

void WorkerPool::Run() {
  while (const std::optional<WorkSchedule::Item> item = Take()) {
    Settle(*item, work_(*item));
  }
}

void WorkerPool::RetryAt(const WorkSchedule::Item& item, absl::Time due) {
  retries_[item].due = due;
  due_retries_.emplace(due, item);
}

void WorkerPool::DropRetry(const WorkSchedule::Item& item) {
  const auto retries = retries_.find(item);
  if (retries == retries_.end() || !retries->second.due.has_value()) return;
  due_retries_.erase({*retries->second.due, item});
  retries->second.due.reset();
}

absl::Duration WorkerPool::ReadyRetries() {
  const absl::Time now = ExecutionNow();
  while (!due_retries_.empty() && due_retries_.begin()->first <= now) {
    const WorkSchedule::Item item = due_retries_.begin()->second;
    DropRetry(item);
    schedule_.Add(item);
  }
  return due_retries_.empty() ? absl::InfiniteDuration()
                              : due_retries_.begin()->first - now;
}

std::optional<WorkSchedule::Item> WorkerPool::Take() {
  const MutexLock lock(mutex_);
  while (!stopping_) {
    const absl::Duration next_retry = ReadyRetries();
    const absl::Time now = clock_.Now();
    if (auto item = schedule_.Take(now)) {
      // This thread may have been the one that waited for what comes next, be
      // it ready or due later: another takes over.
      if (schedule_.NextTime() < absl::InfiniteFuture() ||
          !due_retries_.empty()) {
        wake_.SignalOne();
      }
      DropRetry(*item);
      return item;
    }
    wake_.WaitFor(mutex_, std::min(next_retry, schedule_.NextTime() - now));
  }
  return std::nullopt;
}

void WorkerPool::Settle(const WorkSchedule::Item& item,
                        const WorkResult& result) {
  {
    const MutexLock lock(mutex_);
    schedule_.Finish(item);
    if (result.kind != WorkResult::Kind::kRetry) {
      retries_.erase(item);
    } else {
      const int attempt = retries_[item].in_a_row++;
      const absl::Duration backoff =
          std::min(options_.last_backoff,
                   options_.first_backoff * (1 << std::min(attempt, 20)));
      // One answer of a server, or of something in between, must not put a
      // machine's join off beyond its window.
      const absl::Duration asked = std::min(result.at_least, kMaxAsked);
      RetryAt(item, ExecutionNow() + Jittered(std::max(backoff, asked)));
    }
    if (result.kind == WorkResult::Kind::kAgain) {
      schedule_.AddAt(item, result.when);
    }
  }
  wake_.SignalOne();
}

}  // namespace latchkey
