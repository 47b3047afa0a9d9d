// A TokenStore keeps the records of tokens. It knows nothing of their life: it
// writes what it is given, once, and only over the version that was seen.
//
// All implementations are safe for concurrent use from many threads, and pass
// tests/storage/token_store_contract.h.

#ifndef LATCHKEY_STORAGE_TOKEN_STORE_H_
#define LATCHKEY_STORAGE_TOKEN_STORE_H_

#include <cstddef>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "storage/token_filter.h"
#include "storage/token_record.h"

namespace latchkey {

struct TokenQuery {
  TokenFilter filter;
  // Records a page; at least 1. Bounds the memory that a listing takes.
  size_t page_size = 100;
  // The next_page_token of the page before, with the same filter; empty: the
  // first page.
  std::string page_token;
};

struct TokenPage {
  // May be fewer than page_size, or none, and the listing still go on.
  std::vector<StoredToken> tokens;
  // Empty: this is the last page.
  std::string next_page_token;
};

// Errors of every verb beside those named: kUnavailable, kDeadlineExceeded,
// kInternal: the store did not answer. A write may then have been done or not
// (OutcomeIsUnknown); only Find() tells. kResourceExhausted: not done, the
// store asks to be left alone for a while (RetryAfterOf).
class TokenStore {
 public:
  TokenStore() = default;
  TokenStore(const TokenStore&) = delete;
  TokenStore& operator=(const TokenStore&) = delete;
  virtual ~TokenStore() = default;

  // Keeps a new record. kAlreadyExists, and nothing changes, if anything has
  // its id, be it one of ours or not.
  virtual absl::StatusOr<StoredToken> Insert(const TokenRecord& record) = 0;

  // The record as it stands now, not as a cache remembers it. kNotFound: no
  // such token. kFailedPrecondition: the cluster has a token of that id that is
  // not ours: leave it alone. kDataLoss: it is ours, and somebody has altered
  // it beyond recognition; the message says where.
  virtual absl::StatusOr<StoredToken> Find(const TokenId& id) = 0;

  // Writes `next` over `seen`. kAborted, and nothing changes, if the record is
  // no longer at the version seen; kNotFound if it is gone.
  virtual absl::StatusOr<StoredToken> Replace(const StoredToken& seen,
                                              const TokenRecord& next) = 0;

  // Removes the record. kAborted if it is no longer at the version seen;
  // kNotFound if it is gone.
  virtual absl::Status Remove(const StoredToken& seen) = 0;

  // A page of the records that the filter selects, in no particular order. All
  // pages of one listing show the records as they stood at its first page. A
  // record that somebody altered beyond recognition is left out, and logged.
  //
  // INVALID_FIELD (kInvalidArgument, field "page_token"): not a token of ours.
  // PAGE_EXPIRED (kAborted): the first page's moment is forgotten; list again.
  virtual absl::StatusOr<TokenPage> List(const TokenQuery& query) = 0;
};

}  // namespace latchkey

#endif  // LATCHKEY_STORAGE_TOKEN_STORE_H_
