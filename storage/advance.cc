#include "storage/advance.h"

#include <utility>

#include <absl/status/status.h>

#include "core/refusal.h"
#include "core/status_macros.h"

namespace latchkey {

absl::StatusOr<StoredToken> Advance(TokenStore& store, const TokenId& id,
                                    const Arrow& arrow,
                                    std::optional<StoredToken> seen,
                                    int attempts) {
  absl::Status last = absl::InternalError("no attempt was made");
  for (int attempt = 0; attempt < attempts; ++attempt) {
    if (!seen.has_value()) {
      absl::StatusOr<StoredToken> found = store.Find(id);
      if (!found.ok()) {
        // A read has no outcome to be unsure of, but it may be the second step
        // of settling a write: try it again as well.
        if (!OutcomeIsUnknown(found.status())) return found.status();
        last = found.status();
        continue;
      }
      seen = *std::move(found);
    }
    LATCHKEY_ASSIGN_OR_RETURN(std::optional<TokenRecord> next,
                              arrow(seen->record));
    if (!next.has_value()) return *std::move(seen);
    absl::StatusOr<StoredToken> written = store.Replace(*seen, *next);
    if (written.ok()) return written;
    last = written.status();
    if (!absl::IsAborted(last) && !OutcomeIsUnknown(last)) return last;
    seen.reset();
  }
  // Eight lost races in a row are a crowd; whoever asked may ask again.
  if (absl::IsAborted(last)) {
    return absl::UnavailableError("the record changes too often");
  }
  return last;
}

}  // namespace latchkey
