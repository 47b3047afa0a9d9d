#include "services/batch_issue.h"

#include <deque>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "core/execution.h"
#include "core/mutex.h"
#include "services/grpc_status.h"

namespace latchkey {
namespace {

// Lives as long as one of its items waits or is worked on: each holds it.
class Batch : public std::enable_shared_from_this<Batch> {
 public:
  Batch(TokenBroker& broker, FairQueue& queue, Identity caller,
        BatchItems items, std::function<bool()> given_up,
        std::function<void(BatchResults, BatchTimes)> done)
      : broker_(broker),
        queue_(queue),
        caller_(std::move(caller)),
        items_(std::move(items)),
        given_up_(std::move(given_up)),
        done_(std::move(done)),
        results_(items_.size(), NotBegun()),
        times_(items_.size()),
        begun_(items_.size()),
        left_(items_.size()) {
    std::iota(left_.begin(), left_.end(), size_t{0});
  }

  // Submits until the window is full, the queue takes no more or nothing is
  // left. Whoever finds that nothing goes on any more ends the batch.
  void Advance() {
    while (true) {
      size_t index = 0;
      switch (TakeNext(&index)) {
        case Next::kNothing:
          return;
        case Next::kEnd:
          return done_(std::move(results_), std::move(times_));
        case Next::kItem:
          break;
      }
      const bool submitted = queue_.TrySubmit(
          caller_.name,
          [self = shared_from_this(), index] { self->Work(index); });
      if (submitted) continue;
      if (PutBack(index)) done_(std::move(results_), std::move(times_));
      return;
    }
  }

 private:
  enum class Next { kItem, kNothing, kEnd };

  // `going_on_` counts the items that wait or are worked on: as long as there
  // is one, somebody will come back here.
  Next TakeNext(size_t* index) {
    const MutexLock lock(mutex_);
    if (ended_) return Next::kNothing;
    if (!left_.empty() && given_up_()) left_.clear();
    if (left_.empty()) {
      ended_ = going_on_ == 0;
      return ended_ ? Next::kEnd : Next::kNothing;
    }
    if (going_on_ >= kBatchWindow) return Next::kNothing;
    *index = left_.front();
    left_.pop_front();
    ++going_on_;
    begun_[*index] = ExecutionNow();
    return Next::kItem;
  }

  // The queue is full: true if nobody will come back, so that this is the end.
  bool PutBack(size_t index) {
    const MutexLock lock(mutex_);
    left_.push_front(index);
    if (--going_on_ > 0) return false;
    for (const size_t refused : left_) results_[refused] = Overloaded();
    left_.clear();
    ended_ = true;
    return true;
  }

  void Work(size_t index) {
    const absl::StatusOr<IssueRequest>& item = items_[index];
    if (!item.ok()) {
      results_[index] = item.status();
    } else if (!given_up_()) {
      results_[index] = broker_.Issue(caller_, *item);
    }
    times_[index] = ExecutionNow() - begun_[index];
    {
      const MutexLock lock(mutex_);
      --going_on_;
    }
    Advance();
  }

  TokenBroker& broker_;
  FairQueue& queue_;
  const Identity caller_;
  const BatchItems items_;
  const std::function<bool()> given_up_;
  const std::function<void(BatchResults, BatchTimes)> done_;
  // Each entry is its item's worker's until the item is no longer going on.
  BatchResults results_;
  BatchTimes times_;
  std::vector<absl::Time> begun_;
  Mutex mutex_;
  std::deque<size_t> left_ ABSL_GUARDED_BY(mutex_);
  size_t going_on_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

absl::Status NotBegun() { return absl::CancelledError("not begun"); }

void IssueBatch(TokenBroker& broker, FairQueue& queue, Identity caller,
                BatchItems items, std::function<bool()> given_up,
                std::function<void(BatchResults, BatchTimes)> done) {
  std::make_shared<Batch>(broker, queue, std::move(caller), std::move(items),
                          std::move(given_up), std::move(done))
      ->Advance();
}

}  // namespace latchkey
