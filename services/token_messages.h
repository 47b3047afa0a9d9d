// latchkey.v1 messages to domain types and back.

#ifndef LATCHKEY_SERVICES_TOKEN_MESSAGES_H_
#define LATCHKEY_SERVICES_TOKEN_MESSAGES_H_

#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "latchkey/v1/node_bootstrap.pb.h"
#include "latchkey/v1/token_broker.pb.h"
#include "services/batch_issue.h"
#include "services/cluster_endpoints.h"
#include "services/token_administration.h"
#include "services/token_broker.h"
#include "services/token_lineage.h"
#include "storage/token_filter.h"

namespace latchkey {

// Messages to domain types: INVALID_FIELD (kInvalidArgument), with the field's
// name, for what has no domain form: an unknown enumerator, a digest of another
// length, a duration out of range. Limits of the values are for whoever acts on
// them, but for those of a filter, which are checked here.
absl::StatusOr<IssueRequest> FromMessage(const v1::IssueTokenRequest& message);
absl::StatusOr<TokenFilter> FromMessage(const v1::TokenFilter& message);
absl::StatusOr<ListRequest> FromMessage(const v1::ListTokensRequest& message);
// The new expire_time.
absl::StatusOr<absl::Time> FromMessage(const v1::ExtendTokenRequest& message);

// What is wrong with an item is that item's result; what is wrong with the
// batch (the number of its items, a request_id that is in two, validate_only)
// is INVALID_FIELD, naming the first as in "requests[17].request_id".
absl::StatusOr<BatchItems> FromMessage(
    const v1::BatchIssueTokensRequest& message);
inline constexpr int kMaxBatchItems = 1000;

// Which tokens a RevokeTokenRequest is about.
struct RevokeTarget {
  // One of the two.
  std::string id;
  std::optional<TokenFilter> filter;
};
absl::StatusOr<RevokeTarget> FromMessage(const v1::RevokeTokenRequest& message);

void ToMessage(const TokenRecord& record, v1::Token& message);
// Without the id, if nothing was minted (validate_only).
void ToMessage(const IssuedToken& issued, const ClusterEndpoints& cluster,
               v1::IssueTokenResponse& message);
void ToMessage(const ClaimedToken& claimed, const ClusterEndpoints& cluster,
               v1::ClaimTokenResponse& message);
void ToMessage(const BatchResults& results, const ClusterEndpoints& cluster,
               v1::BatchIssueTokensResponse& message);
void ToMessage(const ListedTokens& listed, v1::ListTokensResponse& message);
void ToMessage(const RevokedTokens& revoked, v1::RevokeTokenResponse& message);
void ToMessage(const TokenLineage& lineage, v1::ExplainTokenResponse& message);
// As the status of a call of its own would say it (services/grpc_status.h).
void ToMessage(const absl::Status& refusal, v1::ItemError& message);

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_TOKEN_MESSAGES_H_
