// A TokenStore whose writes take as long as those of a cluster.

#ifndef LATCHKEY_TESTS_FAKES_SLOW_TOKEN_STORE_H_
#define LATCHKEY_TESTS_FAKES_SLOW_TOKEN_STORE_H_

#include <absl/status/statusor.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include "storage/token_store.h"

namespace latchkey_testing {

class SlowTokenStore final : public latchkey::TokenStore {
 public:
  explicit SlowTokenStore(latchkey::TokenStore& real) : real_(real) {}

  // Set before the first call.
  absl::Duration delay;

  absl::StatusOr<latchkey::StoredToken> Insert(
      const latchkey::TokenRecord& record) override {
    absl::SleepFor(delay);
    return real_.Insert(record);
  }
  absl::StatusOr<latchkey::StoredToken> Find(
      const latchkey::TokenId& id) override {
    return real_.Find(id);
  }
  absl::StatusOr<latchkey::StoredToken> Replace(
      const latchkey::StoredToken& seen,
      const latchkey::TokenRecord& next) override {
    absl::SleepFor(delay);
    return real_.Replace(seen, next);
  }
  absl::Status Remove(const latchkey::StoredToken& seen) override {
    absl::SleepFor(delay);
    return real_.Remove(seen);
  }
  absl::StatusOr<latchkey::TokenPage> List(
      const latchkey::TokenQuery& query) override {
    return real_.List(query);
  }

 private:
  latchkey::TokenStore& real_;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_FAKES_SLOW_TOKEN_STORE_H_
