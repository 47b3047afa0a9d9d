// What happens when somebody tries to use a token and is refused, most of all
// for what it was not issued: with another key, or under another name.

#ifndef LATCHKEY_SERVICES_MISUSE_H_
#define LATCHKEY_SERVICES_MISUSE_H_

#include <cstddef>
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

  // Notes on the record of `token` that an attempt to use it was refused with
  // `refusal`, if the record has room; `where` says by whom, as far as is
  // known. Misuse is logged and recorded too and, if the rule that the token
  // was issued under freezes on misuse, revokes it instead. A token that is
  // spent, revoked or gone stays as it is, and so does another that has taken
  // its id since. May be called again for the same attempt, by another broker
  // too.
  void Report(const StoredToken& token, const absl::Status& refusal,
              std::string_view where);

 private:
  void Note(const StoredToken& token, const RefusedAttempt& attempt,
            size_t room);
  void Freeze(const StoredToken& token, const RefusedAttempt& attempt,
              AuditEvent event);

  TokenStore& store_;
  const LivePolicy& policy_;
  AuditLog& audit_;
  const Clock& clock_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_MISUSE_H_
