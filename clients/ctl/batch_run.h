// Minting for many machines: calls of up to 1,000, and what became of each
// machine.

#ifndef LATCHKEY_CLIENTS_CTL_BATCH_RUN_H_
#define LATCHKEY_CLIENTS_CTL_BATCH_RUN_H_

#include <functional>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/ctl/batch_id.h"
#include "clients/ctl/batch_input.h"
#include "clients/ctl/broker_api.h"
#include "clients/pace/pace.h"

namespace latchkey {

// What the contract allows in one call.
inline constexpr size_t kMaxBatchCall = 1000;

// Told once of each item, as the answers come: what was issued, or why not. A
// status that is not OK ends the run, such as a disk that is full.
using BatchReport = std::function<absl::Status(
    const BatchItem& item,
    const absl::StatusOr<v1::IssueTokenResponse>& issued)>;

// Asks for the items in turn. An item whose error passes is asked for again
// for up to `timeout` a call. The answer is why the run ended early, if it did:
// the items that were not reported were not asked for, or their outcome is not
// known; run it again with the same `id`.
absl::Status RunBatch(BrokerApi& api, Pace& pace, const BatchId& id,
                      const std::vector<BatchItem>& items,
                      absl::Duration timeout, const BatchReport& report);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_CTL_BATCH_RUN_H_
