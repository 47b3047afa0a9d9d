#include "tests/simulation/scheduler.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "tests/simulation/fiber_switch.h"
#include "tests/simulation/sanitizers.h"

namespace latchkey_testing {

using latchkey::Execution;

// Stacks are shared by the fibers that come after one another; OpenSSL and
// protobuf need some room, and what sanitizers put between locals.
#if defined(LATCHKEY_ASAN) || defined(LATCHKEY_TSAN)
constexpr size_t kStackBytes = size_t{1} << 20;
#else
constexpr size_t kStackBytes = size_t{256} << 10;
#endif

struct Scheduler::Fiber {
  Group group = 0;
  std::function<void()> body;
  boost::context::fiber context;
  std::optional<SanitizedFiber> sanitized;
  bool ended = false;
  bool signalled = false;
  // What it waits for, and its place among the sleepers; null, none: it does
  // not.
  const void* condition = nullptr;
  std::optional<std::multimap<absl::Time, FiberPtr>::iterator> alarm;
};

class Scheduler::Handle final : public Execution::Task {
 public:
  Handle(Scheduler& scheduler, FiberPtr fiber)
      : scheduler_(scheduler), fiber_(std::move(fiber)) {}
  void Join() override {
    while (!fiber_->ended && !scheduler_.unwinding_ &&
           scheduler_.running_ != nullptr) {
      scheduler_.Await(fiber_.get(), absl::InfiniteDuration());
    }
  }

 private:
  Scheduler& scheduler_;
  const FiberPtr fiber_;
};

Scheduler::Scheduler(uint64_t seed, absl::Time start)
    : now_(start), generator_(seed), stacks_(kStackBytes) {
  SetCurrent(this);
}

Scheduler::~Scheduler() {
  KillAll();
  SetCurrent(nullptr);
}

void Scheduler::KillAll() {
  while (!fibers_.empty()) Kill(fibers_.back()->group);
}

Scheduler::FiberPtr Scheduler::Make(Group group, std::function<void()> body) {
  auto fiber = std::make_shared<Fiber>();
  fiber->group = group;
  fiber->body = std::move(body);
  Fiber* const self = fiber.get();
  const boost::context::stack_context stack = [this] {
    const Overlooked overlooked;
    return stacks_.allocate();
  }();
  // Stacks grow downwards.
  fiber->sanitized.emplace(static_cast<char*>(stack.sp) - stack.size,
                           stack.size);
  {
    const FiberSwitch to(*fiber->sanitized);
    fiber->context = boost::context::fiber(
        std::allocator_arg,
        boost::context::preallocated(stack.sp, stack.size, stack), stacks_,
        [this, self](boost::context::fiber&& back) {
          back_ = std::move(back);
          {
            const Watched watched;
            self->body();
          }
          return std::move(back_);
        });
  }
  const Overlooked overlooked;
  fibers_.push_back(fiber);
  ready_.push_back(fiber);
  return fiber;
}

void Scheduler::Spawn(Group group, std::function<void()> body) {
  Make(group, std::move(body));
}

std::shared_ptr<Execution::Task> Scheduler::Start(std::function<void()> body) {
  return std::make_shared<Handle>(*this, Make(CurrentGroup(), std::move(body)));
}

Scheduler::Group Scheduler::CurrentGroup() const {
  const Overlooked overlooked;
  if (starting_ != 0 || running_ == nullptr) return starting_;
  return running_->group;
}

const void* Scheduler::CurrentFiber() const {
  const Overlooked overlooked;
  return running_.get();
}

void Scheduler::StartIn(Group group, const std::function<void()>& work) {
  starting_ = group;
  work();
  starting_ = 0;
}

void Scheduler::Kill(Group group) {
  const auto dying = [&](const FiberPtr& fiber) {
    return fiber->group == group;
  };
  std::vector<FiberPtr> killed;
  std::copy_if(fibers_.begin(), fibers_.end(), std::back_inserter(killed),
               dying);
  std::erase_if(fibers_, dying);
  std::erase_if(ready_, dying);
  for (const FiberPtr& fiber : killed) StopWaiting(fiber);
  frozen_.erase(group);
  unwinding_ = true;
  for (const FiberPtr& fiber : killed) {
    fiber->sanitized->SetApart(false);
    {
      const FiberSwitch to(*fiber->sanitized);
      fiber->context = boost::context::fiber();
    }
    End(fiber);
  }
  unwinding_ = false;
  for (const FiberPtr& fiber : killed) Signal(fiber.get());
}

void Scheduler::SetFrozen(Group group, bool frozen) {
  if (frozen) {
    frozen_.insert(group);
  } else {
    frozen_.erase(group);
  }
}

bool Scheduler::Alive(Group group) const {
  return std::any_of(
      fibers_.begin(), fibers_.end(),
      [&](const FiberPtr& fiber) { return fiber->group == group; });
}

void Scheduler::Run(absl::Time until, const std::function<bool()>& done) {
  while (!done()) {
    FiberPtr next = TakeReady();
    if (next == nullptr) {
      if (!PassTime(until)) return;
      continue;
    }
    Resume(next);
  }
}

Scheduler::FiberPtr Scheduler::TakeReady() {
  size_t candidates = ready_.size();
  while (candidates > 0) {
    const size_t chosen = Below(candidates);
    std::swap(ready_[chosen], ready_[candidates - 1]);
    if (!frozen_.contains(ready_[candidates - 1]->group)) {
      FiberPtr fiber = ready_[candidates - 1];
      ready_.erase(ready_.begin() + static_cast<ptrdiff_t>(candidates) - 1);
      return fiber;
    }
    --candidates;
  }
  return nullptr;
}

bool Scheduler::PassTime(absl::Time until) {
  if (sleepers_.empty()) return false;
  const absl::Time next = sleepers_.begin()->first;
  if (next > until) return false;
  now_ = std::max(now_, next);
  while (!sleepers_.empty() && sleepers_.begin()->first <= now_) {
    const FiberPtr fiber = sleepers_.begin()->second;
    StopWaiting(fiber);
    ready_.push_back(fiber);
  }
  return true;
}

void Scheduler::Resume(const FiberPtr& fiber) {
  ++turns_;
  running_ = fiber;
  {
    const FiberSwitch to(*fiber->sanitized);
    fiber->context = std::move(fiber->context).resume();
  }
  running_ = nullptr;
  if (fiber->context) return;
  End(fiber);
  std::erase(fibers_, fiber);
  Signal(fiber.get());
}

void Scheduler::End(const FiberPtr& fiber) {
  fiber->ended = true;
  fiber->body = nullptr;
  fiber->sanitized.reset();
}

void Scheduler::Park() {
  const Overlooked overlooked;
  back_ = std::move(back_).resume();
}

void Scheduler::StopWaiting(const FiberPtr& fiber) {
  if (fiber->alarm.has_value()) {
    const auto alarm = *fiber->alarm;
    fiber->alarm.reset();
    sleepers_.erase(alarm);
  }
  if (fiber->condition == nullptr) return;
  const auto waiters = waiters_.find(fiber->condition);
  fiber->condition = nullptr;
  std::erase(waiters->second, fiber);
  if (waiters->second.empty()) waiters_.erase(waiters);
}

void Scheduler::Yield() {
  {
    const Overlooked overlooked;
    if (unwinding_ || running_ == nullptr) return;
    ready_.push_back(running_);
  }
  Park();
}

bool Scheduler::Await(const void* condition, absl::Duration timeout) {
  Fiber* self = nullptr;
  {
    const Overlooked overlooked;
    if (unwinding_ || running_ == nullptr) return true;
    self = running_.get();
    BeginWait(condition, timeout);
  }
  Park();
  const Overlooked overlooked;
  return self->signalled;
}

void Scheduler::BeginWait(const void* condition, absl::Duration timeout) {
  running_->signalled = false;
  running_->condition = condition;
  if (condition != nullptr) waiters_[condition].push_back(running_);
  if (timeout < absl::InfiniteDuration()) {
    running_->alarm = sleepers_.emplace(
        now_ + std::max(timeout, absl::ZeroDuration()), running_);
  }
}

bool Scheduler::WaitFor(const void* condition, std::mutex& mutex,
                        absl::Duration timeout) {
  // Also where a killed fiber's locals go: its guards let it go once more. Not
  // by catching what kills it, which takes as long as all of its other frames.
  struct Relock {
    std::mutex& mutex;
    ~Relock() { mutex.lock(); }
  };
  mutex.unlock();
  const Relock relock{mutex};
  SetApart(true);
  const bool signalled = Await(condition, timeout);
  SetApart(false);
  return signalled;
}

void Scheduler::SetApart(bool apart) {
  const Overlooked overlooked;
  if (running_ != nullptr && !unwinding_) running_->sanitized->SetApart(apart);
}

void Scheduler::Signal(const void* condition) {
  const Overlooked overlooked;
  const auto waiters = waiters_.find(condition);
  if (waiters == waiters_.end()) return;
  const std::vector<FiberPtr> woken = std::move(waiters->second);
  waiters_.erase(waiters);
  for (const FiberPtr& fiber : woken) {
    fiber->condition = nullptr;
    StopWaiting(fiber);
    fiber->signalled = true;
    ready_.push_back(fiber);
  }
}

void Scheduler::Sleep(absl::Duration duration) { Await(nullptr, duration); }

absl::Time Scheduler::Now() {
  const Overlooked overlooked;
  return now_;
}

uint64_t Scheduler::Below(uint64_t bound) {
  const Overlooked overlooked;
  return generator_() % bound;
}

double Scheduler::Fraction() {
  const Overlooked overlooked;
  return static_cast<double>(generator_() >> 11) * 0x1.0p-53;
}

bool Scheduler::Chance(double probability) {
  return probability > 0 && Fraction() < probability;
}

}  // namespace latchkey_testing
