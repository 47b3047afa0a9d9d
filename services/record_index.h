// What the watch of records has shown, kept small: how many tokens stand where,
// and how many each provisioner has unused. 100,000 records take some 15 MiB.

#ifndef LATCHKEY_SERVICES_RECORD_INDEX_H_
#define LATCHKEY_SERVICES_RECORD_INDEX_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "core/mutex.h"
#include "storage/token_record.h"

namespace latchkey {

// Safe for concurrent use.
class RecordIndex {
 public:
  // By TokenState.
  using Counts = std::array<size_t, 5>;

  // A place among the unused tokens of one provisioner, taken before its token
  // is written. Given back when this goes, unless the token was kept.
  class Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept;
    Place& operator=(Place&& other) noexcept;
    ~Place();

    // The token was written, or may have been: it counts until the watch shows
    // it, or for kMaxUnseen.
    void Keep();

   private:
    friend class RecordIndex;
    Place(RecordIndex& index, std::string request_key)
        : index_(&index), request_key_(std::move(request_key)) {}

    RecordIndex* index_ = nullptr;  // null: no place of its own
    std::string request_key_;
  };

  // What a rule asks of a new token.
  struct Quota {
    std::string_view provisioner;
    std::string_view rule;
    int64_t max_outstanding;
  };

  static constexpr absl::Duration kMaxUnseen = absl::Minutes(5);

  RecordIndex() = default;
  // `seen` is told how long after Written() the watch showed each token; it
  // must not call back.
  explicit RecordIndex(std::function<void(absl::Duration)> seen)
      : seen_(std::move(seen)) {}

  // This broker has written a new token, just now. Remembered of the last
  // 10,000 or so that the watch has not shown.
  void Written(const TokenId& id);

  // Takes a place for the token of the request `request_key`, which may get the
  // id `id`: unused tokens are those that the watch has shown ISSUED, ACTIVE or
  // RESERVED and not expired at `now`, and those that hold a place. A request
  // whose token has that id and is among them already needs none, and calls of
  // one request share one. Whose token it is, the request_key says: requests
  // whose ids are the same can be found by trying.
  //
  // QUOTA_OUTSTANDING (kResourceExhausted; metadata rule, limit, used): there
  // is none. CLUSTER_UNAVAILABLE (kUnavailable), with a delay: the watch is
  // not fresh, so nobody knows.
  absl::StatusOr<Place> Take(const Quota& quota, const TokenId& id,
                             std::string_view request_key, absl::Time now);

  Counts CountsByState() const;
  // Without those that only hold a place.
  size_t Unused(std::string_view provisioner, absl::Time now);

  // What the watch shows. Replace() is for a list: what is not in it is gone.
  void Replace(const std::vector<StoredToken>& tokens);
  // False if the write changed nothing of the token's life: somebody touched
  // what is not ours, or wrote the same again.
  bool Note(const TokenRecord& record);
  void Remove(const TokenId& id);
  // Whether the watch is up to date, as far as is known; at first it is not.
  void SetFresh(bool fresh);
  bool fresh() const;

 private:
  struct Provisioner {
    // When the unused tokens expire, in seconds; those expired by swept are
    // out.
    std::multiset<int64_t> unused;
    int64_t swept = INT64_MIN;
    size_t places = 0;
    // Tokens known of; without one, and without places, it is forgotten.
    size_t tokens = 0;
  };
  using Provisioners = std::map<std::string, Provisioner, std::less<>>;
  struct Token {
    Provisioners::iterator provisioner;
    int64_t expires;
    uint64_t life;     // a digest of where it stands
    uint64_t request;  // of its request_key
    TokenState state;
  };
  struct Taken {
    std::string provisioner;
    int users = 0;      // calls under way
    bool kept = false;  // counts without a call, until:
    absl::Time forget_at = absl::InfiniteFuture();
  };

  void Count(const Token& token, bool add)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RemoveKey(uint64_t key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool NoteLocked(const TokenRecord& record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Sweep(Provisioner& provisioner, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetIfEmpty(Provisioners::iterator it)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropTaken(const std::string& request_key)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetUnseen(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GiveBack(const std::string& request_key);
  void KeepPlace(const std::string& request_key);

  const std::function<void(absl::Duration)> seen_;
  mutable Mutex mutex_;
  bool fresh_ ABSL_GUARDED_BY(mutex_) = false;
  Counts counts_ ABSL_GUARDED_BY(mutex_) = {};
  Provisioners provisioners_ ABSL_GUARDED_BY(mutex_);
  // By the bytes of the token's id.
  std::unordered_map<uint64_t, Token> tokens_ ABSL_GUARDED_BY(mutex_);
  // By request_key.
  std::unordered_map<std::string, Taken> taken_ ABSL_GUARDED_BY(mutex_);
  // When, by ExecutionNow().
  std::unordered_map<uint64_t, absl::Time> written_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_RECORD_INDEX_H_
