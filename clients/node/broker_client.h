// What a node asks of the broker.

#ifndef LATCHKEY_CLIENTS_NODE_BROKER_CLIENT_H_
#define LATCHKEY_CLIENTS_NODE_BROKER_CLIENT_H_

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "core/bootstrap_token.h"
#include "core/ticket.h"

namespace latchkey {

// What a node needs to ask the cluster for its certificate.
struct BootstrapGrant {
  BootstrapToken token;
  // https URLs, best first; at least one.
  std::vector<std::string> api_servers;
  // The authorities of the API server.
  std::string ca_pem;
  // To put into the CSR's expirationSeconds; 0: leave it out.
  int certificate_expiration_seconds = 0;
};

// kInvalidArgument unless `url` is https://HOST[:PORT][/PATH] in the characters
// that need no quoting anywhere.
absl::Status CheckApiServerUrl(std::string_view url);

struct NodeClaim {
  Ticket ticket;
  std::string node_name;
  std::string csr_pem;
};

// Safe for concurrent use.
class BrokerClient {
 public:
  BrokerClient() = default;
  BrokerClient(const BrokerClient&) = delete;
  BrokerClient& operator=(const BrokerClient&) = delete;
  virtual ~BrokerClient() = default;

  // Exchanges the ticket for a grant; see NodeBootstrap.ClaimToken. The same
  // claim gets the same answer, so an attempt whose answer was lost is simply
  // repeated. Ends within `timeout`.
  //
  // Errors have the code that the broker gave, with ReasonOf() and
  // RetryAfterOf() where it gave those; kUnavailable and kDeadlineExceeded also
  // if there was no answer; kInternal for an answer that makes no sense.
  virtual absl::StatusOr<BootstrapGrant> Claim(const NodeClaim& claim,
                                               absl::Duration timeout) = 0;
};

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_NODE_BROKER_CLIENT_H_
