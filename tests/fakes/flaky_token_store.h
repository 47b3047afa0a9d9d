// A TokenStore that passes everything on to a real one, and loses an answer, or
// the request, where a test says so: what no real store can be made to do.

#ifndef LATCHKEY_TESTS_FAKES_FLAKY_TOKEN_STORE_H_
#define LATCHKEY_TESTS_FAKES_FLAKY_TOKEN_STORE_H_

#include <deque>
#include <functional>
#include <optional>
#include <utility>
#include <variant>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "core/mutex.h"
#include "storage/token_store.h"

namespace latchkey_testing {

class FlakyTokenStore final : public latchkey::TokenStore {
 public:
  enum class Loses { kRequest, kAnswer };

  explicit FlakyTokenStore(latchkey::TokenStore& real) : real_(real) {}

  // The next write fails with kUnavailable; whether it is done depends on what
  // is lost. Calls add up, in order.
  void LoseNextWrite(Loses what) {
    const latchkey::MutexLock lock(mutex_);
    losses_.push_back(what);
  }
  // The next write fails with `error`, and is not done. Adds up likewise.
  void RefuseNextWrite(absl::Status error) {
    const latchkey::MutexLock lock(mutex_);
    losses_.push_back(std::move(error));
  }
  // Runs before the next write: another broker's move.
  void BeforeNextWrite(std::function<void()> move) {
    const latchkey::MutexLock lock(mutex_);
    before_ = std::move(move);
  }
  int writes() const {
    const latchkey::MutexLock lock(mutex_);
    return writes_;
  }

  absl::StatusOr<latchkey::StoredToken> Insert(
      const latchkey::TokenRecord& record) override {
    return Write<absl::StatusOr<latchkey::StoredToken>>(
        [&] { return real_.Insert(record); });
  }
  absl::StatusOr<latchkey::StoredToken> Find(
      const latchkey::TokenId& id) override {
    return real_.Find(id);
  }
  absl::StatusOr<latchkey::StoredToken> Replace(
      const latchkey::StoredToken& seen,
      const latchkey::TokenRecord& next) override {
    return Write<absl::StatusOr<latchkey::StoredToken>>(
        [&] { return real_.Replace(seen, next); });
  }
  absl::Status Remove(const latchkey::StoredToken& seen) override {
    return Write<absl::Status>([&] { return real_.Remove(seen); });
  }
  absl::StatusOr<latchkey::TokenPage> List(
      const latchkey::TokenQuery& query) override {
    return real_.List(query);
  }

 private:
  using Loss = std::variant<Loses, absl::Status>;

  template <typename Result, typename Body>
  Result Write(Body body) {
    std::function<void()> before;
    std::optional<Loss> loss;
    {
      const latchkey::MutexLock lock(mutex_);
      ++writes_;
      before = std::exchange(before_, nullptr);
      if (!losses_.empty()) {
        loss = std::move(losses_.front());
        losses_.pop_front();
      }
    }
    if (before) before();
    if (!loss.has_value()) return body();
    if (const auto* error = std::get_if<absl::Status>(&*loss)) return *error;
    if (std::get<Loses>(*loss) == Loses::kAnswer) body().IgnoreError();
    return absl::UnavailableError("the connection broke");
  }

  latchkey::TokenStore& real_;
  mutable latchkey::Mutex mutex_;
  std::deque<Loss> losses_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> before_ ABSL_GUARDED_BY(mutex_);
  int writes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_FAKES_FLAKY_TOKEN_STORE_H_
