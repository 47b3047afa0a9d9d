// Takes a record along one arrow of its life, whoever else is pulling at it.

#ifndef LATCHKEY_STORAGE_ADVANCE_H_
#define LATCHKEY_STORAGE_ADVANCE_H_

#include <functional>
#include <optional>

#include <absl/status/statusor.h>

#include "storage/token_life.h"
#include "storage/token_store.h"

namespace latchkey {

// An arrow of storage/token_life.h with its arguments bound.
using Arrow = std::function<NextRecord(const TokenRecord&)>;

// Reads the record (or begins with `seen`), follows `arrow`, and writes the
// result over the version read. Lost races and unknown outcomes are settled by
// reading again and following the arrow from what is there, which finds its own
// earlier work if it was done. Answers the record as it stands at the end.
//
// It stays with the record that it began with: another one that has taken the
// id since is kNotFound, for whatever the caller found out about the first does
// not hold for it.
//
// Errors: the arrow's own, from the record as it stands at the end. Nothing was
// written by this call then, unless an answer was lost and somebody has taken
// the record further since. kNotFound, kFailedPrecondition and kDataLoss from
// Find(), of which the same holds; kUnavailable,
// kDeadlineExceeded, kResourceExhausted if the store gave no certain answer.
// Eight races may be lost, and three answers.
absl::StatusOr<StoredToken> Advance(TokenStore& store, const TokenId& id,
                                    const Arrow& arrow,
                                    std::optional<StoredToken> seen = {});

}  // namespace latchkey

#endif  // LATCHKEY_STORAGE_ADVANCE_H_
