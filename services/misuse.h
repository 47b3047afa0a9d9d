// What happens when somebody tries to use a token for what it was not issued,
// and the notes on records of what else was refused.

#ifndef LATCHKEY_SERVICES_MISUSE_H_
#define LATCHKEY_SERVICES_MISUSE_H_

#include <cstddef>
#include <string>
#include <string_view>

#include <absl/status/status.h>

#include "audit/audit_log.h"
#include "core/clock.h"
#include "policy/live_policy.h"
#include "storage/token_store.h"

namespace latchkey {

// True if a refusal with this reason means that somebody tries to use a token
// for what it was not issued: another name, another key.
bool IsMisuse(std::string_view reason);

// As the `by` of a RefusedAttempt.
std::string CsrAttempt(std::string_view csr_name);

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

  // Notes on the record of `token` that its CSR `csr_name` is denied with
  // `refusal`, which is no misuse, if the record has room and the token can
  // still be used.
  void NoteDenial(const StoredToken& token, const absl::Status& refusal,
                  std::string_view csr_name);

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
