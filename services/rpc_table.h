// One declaration an RPC: who may call it, by which rule, at what cost, what
// its audit record must say, and what its metrics are called. The frame that
// calls run in (services/call_frame.h) does what is declared here, but for the
// authorization: that takes the token or the policy, which only the RPC's body
// has in hand, and a test holds each body to it. An RPC that is not declared
// cannot be served.

#ifndef LATCHKEY_SERVICES_RPC_TABLE_H_
#define LATCHKEY_SERVICES_RPC_TABLE_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "audit/audit_log.h"

namespace latchkey {

enum class Rpc {
  kIssueToken,
  kBatchIssueTokens,
  kGetToken,
  kListTokens,
  kRevokeToken,
  kExtendToken,
  kWatchTokens,
  kExplainToken,
  kClaimToken,
};

enum class RpcPort { kProvisionerApi, kNodeApi };

// What a caller must show before anything is done for it.
enum class RpcAuthentication {
  kProvisioner,  // a verified identity (policy/identity.h)
  kTicket,       // nothing at the door: the ticket in the request is judged
                 // where it is looked up
};

// Which rule decides whether the caller may do it. The body applies it:
// ProvisionerApiTest.EachRpcIsAuthorizedAsItIsDeclared calls every one as
// somebody who may not, and fails if it does what another rule would.
enum class RpcAuthorization {
  kGrant,   // Policy::Decide grants all of what is asked for
  kOwner,   // the token is the caller's, or the caller's reach is kAll
  kReach,   // what the caller may not see is left out
  kTicket,  // the caller has the token's ticket
};

// Which token bucket a call draws on (services/rate_limiter.h).
enum class RpcLimit { kProvisioner, kPeer };
// How much: one a call, or one for each item in it.
enum class RpcCost { kCall, kItem };

struct RpcDeclaration {
  Rpc rpc;
  // "latchkey.v1.TokenBroker/IssueToken".
  std::string_view method;
  RpcPort port;
  RpcAuthentication authentication;
  RpcAuthorization authorization;
  RpcLimit limit;
  RpcCost cost;
  // What the record of a call that was allowed must say: "rule", "token",
  // "token_uid" (fields of AuditEvent), or keys of AuditEvent::facts. With the
  // fact "validate_only" there is no token and no request for one, and neither
  // is asked for.
  std::vector<std::string_view> audit_facts;
  // The value of the label "rpc" of its metrics.
  std::string_view metric;

  // "IssueToken": the action of its audit records.
  std::string_view action() const {
    return method.substr(method.rfind('/') + 1);
  }
};

// One for each Rpc, in the order of the enumeration.
std::span<const RpcDeclaration> RpcTable();
const RpcDeclaration& DeclarationOf(Rpc rpc);

// kInternal, naming each, if an RPC of latchkey.v1 (by the services' own
// descriptors) has no declaration or a declaration has no RPC, on the port of
// its service: the server must not start.
absl::Status CheckRpcTable();
// The same for any table, for tests.
absl::Status CheckRpcTable(std::span<const RpcDeclaration> table);

// The facts of the schema that `event`, of an allowed call, lacks.
std::vector<std::string_view> MissingFacts(const RpcDeclaration& declaration,
                                           const AuditEvent& event);

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_RPC_TABLE_H_
