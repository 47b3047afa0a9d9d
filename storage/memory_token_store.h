// A TokenStore that forgets when the process ends: for tests and measuring.

#ifndef LATCHKEY_STORAGE_MEMORY_TOKEN_STORE_H_
#define LATCHKEY_STORAGE_MEMORY_TOKEN_STORE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "core/clock.h"
#include "core/mutex.h"
#include "storage/token_store.h"

namespace latchkey {

class MemoryTokenStore final : public TokenStore {
 public:
  // `clock` must outlive this.
  explicit MemoryTokenStore(const Clock& clock) : clock_(clock) {}

  absl::StatusOr<StoredToken> Insert(const TokenRecord& record) override;
  absl::StatusOr<StoredToken> Find(const TokenId& id) override;
  absl::StatusOr<StoredToken> Replace(const StoredToken& seen,
                                      const TokenRecord& next) override;
  absl::Status Remove(const StoredToken& seen) override;
  absl::StatusOr<TokenPage> List(const TokenQuery& query) override;

 private:
  // The entry of `seen`, if it is still at that version.
  absl::StatusOr<StoredToken*> FindUnchanged(const StoredToken& seen)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // What the pages of one listing show.
  struct Listing {
    TokenFilter filter;
    std::vector<StoredToken> tokens;
  };
  // Listings remembered; those before are forgotten.
  static constexpr size_t kMaxListings = 8;

  const Clock& clock_;
  Mutex mutex_;
  std::map<TokenId, StoredToken> tokens_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_version_ ABSL_GUARDED_BY(mutex_) = 0;
  // By number, which is the page token's first part.
  std::map<uint64_t, Listing> listings_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_listing_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace latchkey

#endif  // LATCHKEY_STORAGE_MEMORY_TOKEN_STORE_H_
