// What a provisioner may do with tokens that are there: look at them, cut them
// off, give them more time. The rules, in domain types.

#ifndef LATCHKEY_SERVICES_TOKEN_ADMINISTRATION_H_
#define LATCHKEY_SERVICES_TOKEN_ADMINISTRATION_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "core/clock.h"
#include "policy/identity.h"
#include "policy/live_policy.h"
#include "services/csr_approver.h"
#include "services/token_lineage.h"
#include "storage/advance.h"
#include "storage/token_store.h"

namespace latchkey {

struct ListRequest {
  TokenFilter filter;
  // 1 to kMaxPageSize; 0: kDefaultPageSize.
  int page_size = 0;
  // As a page before gave it to this caller, for this filter.
  std::string page_token;

  static constexpr int kDefaultPageSize = 100;
  static constexpr int kMaxPageSize = 500;
};

struct ListedTokens {
  std::vector<TokenRecord> tokens;
  // Empty: this is the last page.
  std::string next_page_token;
};

// Why, and whether in earnest.
struct RevokeOrder {
  // 1 to 256 printable characters of UTF-8.
  std::string why;
  // Shows what would be cut off, and revokes nothing.
  bool validate_only = false;
};

struct ExtendedToken {
  StoredToken token;
  // Not OK: the refusal that it would be, did its rule not only observe.
  absl::Status observed = {};
};

// One that is not revoked; or, if the cluster failed, perhaps is
// (OutcomeIsUnknown in core/refusal.h).
struct UnrevokedToken {
  StoredToken token;  // as it was before
  absl::Status why;
};

struct RevokedTokens {
  std::vector<StoredToken> tokens;
  std::vector<UnrevokedToken> failed;
  // There are, or may be, more that the filter selects.
  bool more = false;
};

// A caller reaches the tokens that it issued, or all, as the policy says
// (Policy::ReachOf); who is in no rule is refused: POLICY_DENIED
// (kPermissionDenied). Any other token is to it as if it did not exist: the
// same TOKEN_UNKNOWN (kNotFound), word for word, after the same read of the
// store.
//
// A `token_id` is as received. INVALID_FIELD (kInvalidArgument, field "id") if
// it cannot be one. Other errors are the store's.
//
// Safe for concurrent use. Calls block for the store's answers.
class TokenAdministration {
 public:
  // The most that one RevokeAll() cuts off.
  static constexpr size_t kMaxRevoked = 500;

  // All must outlive this.
  TokenAdministration(KubernetesClient& client, TokenStore& store,
                      CsrApprover& approver, const LivePolicy& policy,
                      const Clock& clock)
      : client_(client),
        store_(store),
        approver_(approver),
        policy_(policy),
        clock_(clock) {}

  absl::StatusOr<StoredToken> Get(const Identity& caller,
                                  std::string_view token_id);

  // A page of the tokens that the caller reaches and the filter selects, as
  // they stood at the first page. A page may be short, or empty, and the
  // listing still go on.
  //
  // INVALID_FIELD (kInvalidArgument): page_size, or a page_token that another
  // caller or another filter got. It is no secret and proves nothing: whose
  // tokens are listed is derived from the caller anew for each page.
  // PAGE_EXPIRED (kAborted): list again.
  absl::StatusOr<ListedTokens> List(const Identity& caller,
                                    const ListRequest& request);

  // Cuts the token off; answers it as it stands then. No CSR is approved with
  // it after the answer: the one that has it is denied, unless it was approved
  // before; then the answer names it. Nothing to write if it is revoked.
  // INVALID_FIELD: the reason. TOKEN_SPENT (kFailedPrecondition). Any other
  // error: the token may be revoked, and its CSR not denied.
  absl::StatusOr<StoredToken> Revoke(const Identity& caller,
                                     std::string_view token_id,
                                     const RevokeOrder& order);

  // The same for all that the caller reaches and the filter selects and that
  // are neither spent nor revoked, up to kMaxRevoked. The filter is asked again
  // when the token is written: one that has been claimed since, and was to be
  // ISSUED, is left alone and not named. What cannot be revoked
  // is named, and keeps none of the others; what was revoked, but whose CSR
  // could not be denied, is among it, and is to be revoked by its id. But where
  // that is the cluster's fault, which would be asked as much again for each of
  // the others, or once `given_up` answers true, the others are left: there are
  // more.
  absl::StatusOr<RevokedTokens> RevokeAll(
      const Identity& caller, const TokenFilter& filter,
      const RevokeOrder& order,
      const std::function<bool()>& given_up = [] { return false; });

  // Moves the deadline to `expire_time`, never back. The machine that has
  // claimed its ticket gets more time to join, any other to claim.
  //
  // TOKEN_SPENT, TOKEN_REVOKED, TOKEN_EXPIRED (kFailedPrecondition).
  // POLICY_DENIED (kPermissionDenied): later than the rule that it was issued
  // under allows, counted from its creation, or there is no such rule any more;
  // metadata "rule", and "limit" (RFC 3339) or none. An observing rule allows
  // kMaxTokenLifetime, and its refusal is told.
  absl::StatusOr<ExtendedToken> Extend(const Identity& caller,
                                       std::string_view token_id,
                                       absl::Time expire_time);

  // All that is known of the token; see services/token_lineage.h.
  absl::StatusOr<TokenLineage> Explain(const Identity& caller,
                                       std::string_view token_id);

 private:
  // The owner whose tokens the caller reaches; empty: everybody's.
  absl::StatusOr<std::string> OwnerFor(const Identity& caller) const;
  absl::StatusOr<StoredToken> FindFor(const Identity& caller,
                                      std::string_view token_id);
  // Takes the token along one arrow.
  absl::StatusOr<StoredToken> Change(StoredToken token, const Arrow& arrow);
  // Takes the token along Revoke, and then its CSR; leaves both alone if the
  // token is live and, as it stands by now, not `selected`.
  absl::StatusOr<StoredToken> CutOff(StoredToken token,
                                     const Revocation& revocation,
                                     const TokenFilter& selected);
  // Sets `observed` to what an observing rule would refuse it with, or to OK.
  absl::Status CheckExtension(const TokenRecord& record, absl::Time expire_time,
                              absl::Status& observed) const;
  absl::StatusOr<std::vector<StoredToken>> LiveTokens(
      TokenFilter filter, const std::function<bool()>& given_up, bool* more);
  void RevokeEach(std::vector<StoredToken> tokens, const TokenFilter& selected,
                  const Revocation& revocation,
                  const std::function<bool()>& given_up,
                  RevokedTokens& revoked);

  KubernetesClient& client_;
  TokenStore& store_;
  CsrApprover& approver_;
  const LivePolicy& policy_;
  const Clock& clock_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_TOKEN_ADMINISTRATION_H_
