// Minting many tokens in one call, item by item, without holding a thread.

#ifndef LATCHKEY_SERVICES_BATCH_ISSUE_H_
#define LATCHKEY_SERVICES_BATCH_ISSUE_H_

#include <cstddef>
#include <functional>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "policy/identity.h"
#include "services/fair_queue.h"
#include "services/token_broker.h"

namespace latchkey {

// The items of one batch, each as received: a request, or why it is none.
using BatchItems = std::vector<absl::StatusOr<IssueRequest>>;
// One for each item, in their order.
using BatchResults = std::vector<absl::StatusOr<IssuedToken>>;

// How long each took, from its entry into the queue.
using BatchTimes = std::vector<absl::Duration>;

// The result of an item that was not begun, and of no other.
absl::Status NotBegun();

// Items of one batch that wait or are worked on at once.
inline constexpr size_t kBatchWindow = 64;

// Issues every item, each as TokenBroker::Issue() does it, on the threads of
// `queue`, where it takes turns with other callers' work; each item that ends
// makes room for the next. Returns at once; `done` gets the results, on one of
// those threads, or before this returns if there is nothing to do.
//
// Once `given_up` answers true, items not begun are not begun any more: their
// result is NotBegun(). If the queue takes no item at all, all that are left
// are OVERLOADED (kResourceExhausted). `given_up` is called on any of the
// threads, and not after `done`.
//
// `broker` and `queue` must be there until `done` was called.
void IssueBatch(TokenBroker& broker, FairQueue& queue, Identity caller,
                BatchItems items, std::function<bool()> given_up,
                std::function<void(BatchResults, BatchTimes)> done);

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_BATCH_ISSUE_H_
