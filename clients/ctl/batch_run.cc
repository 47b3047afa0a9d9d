#include "clients/ctl/batch_run.h"

#include <algorithm>
#include <string>
#include <utility>

#include "clients/broker/repeated_call.h"
#include "clients/ctl/item_error.h"
#include "core/refusal.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

// An item to ask for, and why it is asked for again.
struct Pending {
  const BatchItem* item;
  absl::Status error;
};

absl::StatusOr<v1::BatchIssueTokensResponse> Ask(
    BrokerApi& api, const BatchId& id, const std::vector<Pending>& pending) {
  v1::BatchIssueTokensRequest request;
  for (const auto& [item, error] : pending) {
    v1::IssueTokenRequest& asked = *request.add_requests();
    asked = item->request;
    asked.set_request_id(std::string(id.RequestIdOf(item->request).Reveal()));
  }
  absl::StatusOr<v1::BatchIssueTokensResponse> response =
      api.BatchIssueTokens(request);
  for (auto& asked : *request.mutable_requests()) {
    Wipe(*asked.mutable_request_id());
  }
  if (response.ok() && response->results_size() != request.requests_size()) {
    return absl::InternalError(
        "the broker's answer makes no sense: it has not one result for each "
        "item");
  }
  return response;
}

// Asks once, and reports what will not change; keeps what may.
absl::Status AskOnce(BrokerApi& api, const BatchId& id,
                     std::vector<Pending>& pending, const BatchReport& report) {
  LATCHKEY_ASSIGN_OR_RETURN(const v1::BatchIssueTokensResponse response,
                            Ask(api, id, pending));
  std::vector<Pending> again;
  for (int i = 0; i < response.results_size(); ++i) {
    const v1::BatchIssueResult& result = response.results(i);
    const BatchItem* item = pending[static_cast<size_t>(i)].item;
    if (result.has_issued()) {
      LATCHKEY_RETURN_IF_ERROR(report(*item, result.issued()));
      continue;
    }
    absl::Status error = StatusOf(result.error());
    if (RetryAfterOf(error).has_value() || IsWorthRepeating(error)) {
      again.push_back({item, std::move(error)});
    } else {
      LATCHKEY_RETURN_IF_ERROR(report(*item, error));
    }
  }
  pending = std::move(again);
  return absl::OkStatus();
}

// What the broker asked for, for the last of them to be worth it.
absl::Duration LongestDelay(const std::vector<Pending>& pending) {
  absl::Duration longest;
  for (const auto& [item, error] : pending) {
    longest =
        std::max(longest, RetryAfterOf(error).value_or(absl::ZeroDuration()));
  }
  return longest;
}

absl::Status RunCall(BrokerApi& api, Pace& pace, const BatchId& id,
                     std::vector<Pending> pending, absl::Duration timeout,
                     const BatchReport& report) {
  const absl::Duration end = pace.Elapsed() + timeout;
  Backoff backoff(pace);
  while (true) {
    LATCHKEY_RETURN_IF_ERROR(AskOnce(api, id, pending, report));
    if (pending.empty()) return absl::OkStatus();
    const absl::Duration wait = backoff.Next(LongestDelay(pending));
    if (pace.Elapsed() + wait >= end) break;
    pace.Sleep(wait);
  }
  for (const auto& [item, error] : pending) {
    LATCHKEY_RETURN_IF_ERROR(report(*item, error));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunBatch(BrokerApi& api, Pace& pace, const BatchId& id,
                      const std::vector<BatchItem>& items,
                      absl::Duration timeout, const BatchReport& report) {
  for (size_t begin = 0; begin < items.size(); begin += kMaxBatchCall) {
    std::vector<Pending> call;
    const size_t end = std::min(begin + kMaxBatchCall, items.size());
    for (size_t i = begin; i < end; ++i) call.push_back({&items[i], {}});
    LATCHKEY_RETURN_IF_ERROR(
        RunCall(api, pace, id, std::move(call), timeout, report));
  }
  return absl::OkStatus();
}

}  // namespace latchkey
