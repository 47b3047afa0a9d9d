#include "storage/memory_token_store.h"

#include <algorithm>
#include <charconv>
#include <string>

#include <absl/status/status.h>
#include <fmt/format.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "core/status_macros.h"
#include "core/text_time.h"

namespace latchkey {
namespace {

// "<listing>.<offset>".
absl::Status ParsePageToken(const std::string& text, uint64_t* listing,
                            size_t* offset) {
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, *listing);
  if (first.ec == std::errc() && first.ptr != end && *first.ptr == '.') {
    const auto second = std::from_chars(first.ptr + 1, end, *offset);
    if (second.ec == std::errc() && second.ptr == end) return absl::OkStatus();
  }
  return InvalidField("page_token", "not of a listing");
}

}  // namespace

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
  it->second.record.create_time = WholeSeconds(clock_.Now());
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

absl::StatusOr<TokenPage> MemoryTokenStore::List(const TokenQuery& query) {
  const MutexLock lock(mutex_);
  uint64_t number = 0;
  size_t offset = 0;
  if (query.page_token.empty()) {
    number = ++last_listing_;
    Listing& listing = listings_[number];
    listing.filter = query.filter;
    for (const auto& [id, token] : tokens_) {
      if (query.filter.Matches(token.record)) listing.tokens.push_back(token);
    }
    if (listings_.size() > kMaxListings) listings_.erase(listings_.begin());
  } else {
    LATCHKEY_RETURN_IF_ERROR(
        ParsePageToken(query.page_token, &number, &offset));
  }
  const auto listing = listings_.find(number);
  if (listing == listings_.end() || listing->second.filter != query.filter) {
    return Refuse(absl::StatusCode::kAborted, reason::kPageExpired,
                  "the listing is forgotten; list again");
  }
  const std::vector<StoredToken>& all = listing->second.tokens;
  const size_t begin = std::min(offset, all.size());
  const size_t end = std::min(all.size(), begin + query.page_size);
  TokenPage page;
  page.tokens.assign(all.begin() + static_cast<std::ptrdiff_t>(begin),
                     all.begin() + static_cast<std::ptrdiff_t>(end));
  if (end < all.size()) {
    page.next_page_token = fmt::format("{}.{}", number, end);
  }
  return page;
}

}  // namespace latchkey
