#include "storage/memory_token_store.h"

#include <string>

#include <absl/status/status.h>

#include "core/status_macros.h"

namespace latchkey {

absl::StatusOr<StoredToken> MemoryTokenStore::Insert(
    const TokenRecord& record) {
  const MutexLock lock(mutex_);
  const std::string version = std::to_string(++last_version_);
  const auto [it, inserted] =
      tokens_.try_emplace(record.id, StoredToken{.record = record,
                                                 .version = version,
                                                 .uid = "uid-" + version,
                                                 .origin = {}});
  if (!inserted) return absl::AlreadyExistsError("the token id is in use");
  it->second.record.create_time =
      absl::FromUnixSeconds(absl::ToUnixSeconds(clock_.Now()));
  return it->second;
}

absl::StatusOr<StoredToken> MemoryTokenStore::Find(const TokenId& id) {
  const MutexLock lock(mutex_);
  const auto it = tokens_.find(id);
  if (it == tokens_.end()) return absl::NotFoundError("no such token");
  return it->second;
}

absl::StatusOr<StoredToken*> MemoryTokenStore::FindUnchanged(
    const StoredToken& seen) {
  const auto it = tokens_.find(seen.record.id);
  if (it == tokens_.end()) return absl::NotFoundError("no such token");
  if (it->second.version != seen.version) {
    return absl::AbortedError("the record has changed");
  }
  return &it->second;
}

absl::StatusOr<StoredToken> MemoryTokenStore::Replace(const StoredToken& seen,
                                                      const TokenRecord& next) {
  const MutexLock lock(mutex_);
  LATCHKEY_ASSIGN_OR_RETURN(StoredToken * stored, FindUnchanged(seen));
  const absl::Time create_time = stored->record.create_time;
  stored->record = next;
  stored->record.create_time = create_time;
  stored->version = std::to_string(++last_version_);
  return *stored;
}

absl::Status MemoryTokenStore::Remove(const StoredToken& seen) {
  const MutexLock lock(mutex_);
  LATCHKEY_RETURN_IF_ERROR(FindUnchanged(seen).status());
  tokens_.erase(seen.record.id);
  return absl::OkStatus();
}

}  // namespace latchkey
