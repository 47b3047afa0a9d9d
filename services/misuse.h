// What happens when somebody tries to use a token for what it was not issued.

#ifndef LATCHKEY_SERVICES_MISUSE_H_
#define LATCHKEY_SERVICES_MISUSE_H_

#include <string_view>

#include <absl/status/status.h>

#include "audit/audit_log.h"
#include "core/clock.h"
#include "policy/live_policy.h"
#include "storage/token_store.h"

namespace latchkey {

// Safe for concurrent use.
class MisuseGuard {
 public:
  // All must outlive this.
  MisuseGuard(TokenStore& store, const LivePolicy& policy, AuditLog& audit,
              const Clock& clock)
      : store_(store), policy_(policy), audit_(audit), clock_(clock) {}

  // Records and logs the misuse of `token` that was refused with `refusal`;
  // `where` says by whom, as far as is known. Revokes the token if the rule it
  // was issued under freezes on misuse; else notes the attempt on its record,
  // if that has room. A token that is spent, revoked or gone stays as it is,
  // and so does another that has taken its id since.
  void Report(const StoredToken& token, const absl::Status& refusal,
              std::string_view where);

 private:
  TokenStore& store_;
  const LivePolicy& policy_;
  AuditLog& audit_;
  const Clock& clock_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_MISUSE_H_
