// latchkey.v1 messages to domain types and back.

#ifndef LATCHKEY_SERVICES_TOKEN_MESSAGES_H_
#define LATCHKEY_SERVICES_TOKEN_MESSAGES_H_

#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "latchkey/v1/node_bootstrap.pb.h"
#include "latchkey/v1/token_broker.pb.h"
#include "services/token_broker.h"

namespace latchkey {

// How a machine reaches the cluster.
struct ClusterEndpoints {
  std::vector<std::string> api_servers;  // https URLs, at least one
  std::string certificate_authorities;   // PEM
  std::string name;
};

// INVALID_FIELD (kInvalidArgument) for what has no domain form: an unknown
// delivery, a digest of another length, a duration out of range. Limits of the
// values are the broker's to check.
absl::StatusOr<IssueRequest> FromMessage(const v1::IssueTokenRequest& message);

void ToMessage(const IssuedToken& issued, const ClusterEndpoints& cluster,
               v1::IssueTokenResponse& message);
void ToMessage(const ClaimedToken& claimed, const ClusterEndpoints& cluster,
               v1::ClaimTokenResponse& message);

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_TOKEN_MESSAGES_H_
