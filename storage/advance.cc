#include "storage/advance.h"

#include <string>
#include <utility>

#include <absl/status/status.h>

#include "core/refusal.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

constexpr int kMaxLostRaces = 8;
// A store that fails to answer does so for all callers: trying long would only
// add to its load. Whoever asked may ask again.
constexpr int kMaxLostAnswers = 3;

}  // namespace

absl::StatusOr<StoredToken> Advance(TokenStore& store, const TokenId& id,
                                    const Arrow& arrow,
                                    std::optional<StoredToken> seen) {
  std::string uid = seen.has_value() ? seen->uid : "";
  int lost_races = 0;
  int lost_answers = 0;
  while (true) {
    absl::Status failed;
    if (!seen.has_value()) {
      absl::StatusOr<StoredToken> found = store.Find(id);
      if (found.ok()) {
        if (uid.empty()) uid = found->uid;
        if (found->uid != uid) {
          return absl::NotFoundError("another record has taken the token id");
        }
        seen = *std::move(found);
      } else {
        failed = found.status();
      }
    }
    if (seen.has_value()) {
      LATCHKEY_ASSIGN_OR_RETURN(std::optional<TokenRecord> next,
                                arrow(seen->record));
      if (!next.has_value()) return *std::move(seen);
      absl::StatusOr<StoredToken> written = store.Replace(*seen, *next);
      if (written.ok()) return written;
      failed = written.status();
      seen.reset();
    }
    if (absl::IsAborted(failed)) {
      // Many lost races in a row are a crowd.
      if (++lost_races == kMaxLostRaces) {
        return absl::UnavailableError("the record changes too often");
      }
    } else if (!OutcomeIsUnknown(failed) || absl::IsDataLoss(failed) ||
               ++lost_answers == kMaxLostAnswers) {
      return failed;
    }
  }
}

}  // namespace latchkey
