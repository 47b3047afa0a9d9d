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
    schedule_.AddAt(item, when);
  }
  wake_.SignalOne();
}

void WorkerPool::Run() {
  while (const std::optional<WorkSchedule::Item> item = Take()) {
    Settle(*item, work_(*item));
  }
}

std::optional<WorkSchedule::Item> WorkerPool::Take() {
  const MutexLock lock(mutex_);
  while (!stopping_) {
    const absl::Time now = clock_.Now();
    if (auto item = schedule_.Take(now)) {
      // This thread may have been the one that waited for what comes next, be
      // it ready or due later: another takes over.
      if (schedule_.NextTime() < absl::InfiniteFuture()) wake_.SignalOne();
      return item;
    }
    wake_.WaitFor(mutex_, schedule_.NextTime() - now);
  }
  return std::nullopt;
}

void WorkerPool::Settle(const WorkSchedule::Item& item,
                        const WorkResult& result) {
  {
    const MutexLock lock(mutex_);
    schedule_.Finish(item);
    if (result.kind != WorkResult::Kind::kRetry) {
      attempts_.erase(item);
    } else {
      const int attempt = attempts_[item]++;
      const absl::Duration backoff =
          std::min(options_.last_backoff,
                   options_.first_backoff * (1 << std::min(attempt, 20)));
      // One answer of a server, or of something in between, must not put a
      // machine's join off beyond its window.
      const absl::Duration asked = std::min(result.at_least, kMaxAsked);
      schedule_.AddAt(item, clock_.Now() + Jittered(std::max(backoff, asked)));
    }
    if (result.kind == WorkResult::Kind::kAgain) {
      schedule_.AddAt(item, result.when);
    }
  }
  wake_.SignalOne();
}

}  // namespace latchkey
