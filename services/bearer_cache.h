// Bearer tokens that were verified shortly before.

#ifndef LATCHKEY_SERVICES_BEARER_CACHE_H_
#define LATCHKEY_SERVICES_BEARER_CACHE_H_

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "core/clock.h"
#include "core/mutex.h"
#include "policy/identity.h"

namespace latchkey {

// Remembers tokens by their SHA-256, never the tokens: good ones for a minute,
// and not beyond their own expiration; refused ones for five seconds. A token
// that is revoked where it was issued is good here for as long, and what is
// answered is to be believed no longer either.
//
// Safe for concurrent use.
class BearerCache {
 public:
  static constexpr absl::Duration kGoodFor = absl::Seconds(60);
  static constexpr absl::Duration kRefusedFor = absl::Seconds(5);
  // Of good tokens and of refused ones, each: strangers can fill only the
  // latter. When so many are known, all of them are forgotten.
  static constexpr size_t kMaxKnown = 4096;

  // `clock` must outlive this.
  explicit BearerCache(const Clock& clock) : clock_(clock) {}

  // What is remembered of `token`.
  std::optional<absl::StatusOr<TimedIdentity>> Known(std::string_view token);

  // The same, or what `verify` answers, which is called without a lock held and
  // for one of the callers that ask about one token at once. An error that is
  // no refusal (kUnauthenticated) is passed on to all of them, and forgotten.
  absl::StatusOr<TimedIdentity> IdentityOf(
      std::string_view token,
      const std::function<absl::StatusOr<TimedIdentity>()>& verify);

 private:
  using Answer = absl::StatusOr<TimedIdentity>;
  struct Entry {
    Answer answer;
    absl::Time until;    // by the clock
    absl::Time at_most;  // by ExecutionNow(): the clock may be set back
  };
  using Entries = std::map<std::string, Entry>;
  // What the callers that wait are told in the end.
  struct Question {
    std::optional<Answer> answer;
  };

  bool IsFresh(const Entry& entry) const;
  std::optional<Answer> Find(const std::string& digest)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remember(const std::string& digest, const Answer& answer)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Clock& clock_;
  Mutex mutex_;
  CondVar answered_;
  Entries good_ ABSL_GUARDED_BY(mutex_);
  Entries refused_ ABSL_GUARDED_BY(mutex_);
  // Shared with those who wait.
  std::map<std::string, std::shared_ptr<Question>> open_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_BEARER_CACHE_H_
