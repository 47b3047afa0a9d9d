// The rules of minting and claiming tokens, in domain types: what the gRPC
// services ask.

#ifndef LATCHKEY_SERVICES_TOKEN_BROKER_H_
#define LATCHKEY_SERVICES_TOKEN_BROKER_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "core/clock.h"
#include "core/secret_string.h"
#include "core/ticket.h"
#include "policy/identity.h"
#include "policy/live_policy.h"
#include "services/misuse.h"
#include "services/record_index.h"
#include "storage/token_store.h"

namespace latchkey {

// Which request of which provisioner it is: SHA-256 over both, the same for a
// repetition. The record has it (request_key), and the audit log may: what
// makes a ticket of a request_id (the record's salt) is not in it.
std::string RequestKey(std::string_view provisioner,
                       std::string_view request_id);

struct IssueRequest {
  TokenScope scope;
  Delivery delivery = Delivery::kTicket;
  // Absent: the policy's default.
  std::optional<absl::Duration> lifetime;
  // Empty: a random one. A secret: with the record's salt it makes the ticket.
  SecretString request_id;
  bool validate_only = false;
  TokenLabels labels;
};

struct IssuedToken {
  TokenRecord record;
  // Of the record in the store; empty with validate_only.
  std::string uid = {};
  // One of the two, by the delivery; neither with validate_only.
  std::optional<Ticket> ticket;
  std::optional<BootstrapToken> token;
  // Not OK: the refusal that it would be, did its rule not only observe.
  absl::Status observed = {};
};

struct ClaimTokenRequest {
  // As received.
  SecretString ticket;
  std::string node_name;
  std::string csr_pem;
  // The peer's address; for people.
  std::string peer;
};

struct ClaimedToken {
  BootstrapToken token;
  TokenRecord record;
  std::string uid;
};

// Safe for concurrent use. Calls block for the store's answer.
class TokenBroker {
 public:
  struct Options {
    // Every token is minted in this group, which is bound to
    // system:node-bootstrapper and to no automatic approval.
    std::string token_group = "system:bootstrappers:latchkey";
    // From the claim of a ticket to the approval of the CSR.
    absl::Duration join_window = absl::Minutes(15);
  };

  // All must outlive this.
  TokenBroker(Options options, TokenStore& store, const LivePolicy& policy,
              MisuseGuard& misuse, RecordIndex& index, const Clock& clock)
      : options_(std::move(options)),
        store_(store),
        policy_(policy),
        misuse_(misuse),
        index_(index),
        clock_(clock) {}

  // Mints a token for `caller`: one create, no read. A repetition of a request
  // (same caller, request_id and content) answers what the first one did.
  //
  // INVALID_FIELD (kInvalidArgument), POLICY_DENIED (kPermissionDenied),
  // REQUEST_ID_REUSED (kAlreadyExists): the id came with another content.
  // TOKEN_SPENT, TOKEN_REVOKED, TOKEN_EXPIRED (kFailedPrecondition): what the
  // first request minted is used up. QUOTA_OUTSTANDING (kResourceExhausted),
  // CLUSTER_UNAVAILABLE (kUnavailable), if the rule has a quota: as
  // RecordIndex::Take(), but a repetition is answered all the same, with a
  // read. Store errors: ask again.
  absl::StatusOr<IssuedToken> Issue(const Identity& caller,
                                    const IssueRequest& request);

  // Exchanges a ticket for the token. TICKET_MALFORMED, CSR_MALFORMED
  // (kInvalidArgument), TICKET_UNKNOWN (kNotFound) for whoever has no ticket of
  // ours, and as Claim in storage/token_life.h and CheckRequest in
  // services/csr_rules.h for whoever has.
  absl::StatusOr<ClaimedToken> Claim(const ClaimTokenRequest& request);

 private:
  struct Mint;
  // What would be minted.
  IssuedToken Preview(const Mint& mint) const;
  // `may_repeat`: the request may have been made before.
  absl::StatusOr<IssuedToken> MintWithinQuota(const Mint& mint,
                                              bool may_repeat);
  // `observed`: of a token that is new, the refusal that it would be.
  absl::StatusOr<IssuedToken> InsertOrReplay(const Mint& mint,
                                             RecordIndex::Place place,
                                             const absl::Status& observed);
  // Answers a repetition of a request, or with `refusal` if it is none.
  absl::StatusOr<IssuedToken> ReplayOr(const Mint& mint,
                                       const absl::Status& refusal);
  absl::StatusOr<IssuedToken> Replay(const Mint& mint,
                                     const StoredToken& token);

  const Options options_;
  TokenStore& store_;
  const LivePolicy& policy_;
  MisuseGuard& misuse_;
  RecordIndex& index_;
  const Clock& clock_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_TOKEN_BROKER_H_
