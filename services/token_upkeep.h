// Upkeep of the records: what must happen to a token when nobody calls.
//
//   its certificate is issued      scrub it (Spend), once the node has it
//   its CSR is certain to be dead  back to kActive (Release)
//   it has expired                 remove it
//
// Level-triggered: Tend() looks at what is there now and does what is due, so a
// missed event, a restart or a second broker doing the same changes nothing.

#ifndef LATCHKEY_SERVICES_TOKEN_UPKEEP_H_
#define LATCHKEY_SERVICES_TOKEN_UPKEEP_H_

#include <deque>
#include <map>
#include <set>
#include <string>

#include "audit/audit_log.h"
#include "clients/kubernetes/kubernetes_client.h"
#include "core/clock.h"
#include "core/mutex.h"
#include "kubernetes/certificates.pb.h"
#include "services/worker_pool.h"
#include "storage/token_store.h"

namespace latchkey {

// Safe for concurrent use.
class TokenUpkeep {
 public:
  struct Options {
    // A certificate counts as fetched when the Node is there, or this long
    // after it was first seen. Until then the token stays alive, so that a node
    // whose watch broke can still ask for its certificate.
    absl::Duration fetch_grace = absl::Minutes(2);
    // How often to look for the Node meanwhile.
    absl::Duration node_poll = absl::Seconds(5);
  };

  // All must outlive this.
  TokenUpkeep(Options options, KubernetesClient& client, TokenStore& store,
              AuditLog& audit, const Clock& clock)
      : options_(options),
        client_(client),
        store_(store),
        audit_(audit),
        clock_(clock) {}

  // CSR `csr` was deleted in this last state. A CSR that is gone is certain
  // never to yield a certificate only if it was seen to go without one.
  void NoteDeleted(const kubernetes::CertificateSigningRequest& csr);

  // Does what is due for the token, and says when to look again. Releasing and
  // spending are recorded before they are done, and not done while the audit
  // log insists and cannot be written. Blocks for a
  // few round trips to the API server.
  WorkResult Tend(const TokenId& id);

 private:
  struct Issue {
    std::string csr_uid;
    absl::Time seen;  // first; by ExecutionNow()
  };

  WorkResult TendReserved(const StoredToken& token);
  WorkResult Remove(const StoredToken& token);
  WorkResult ReleaseFrom(const StoredToken& token);
  WorkResult SpendOn(const StoredToken& token,
                     const kubernetes::CertificateSigningRequest& csr);
  // True if the certificate needs no more waiting for; else when to look again.
  bool WasFetched(const TokenRecord& record, absl::Time* look_again);
  bool DiedUnsigned(const std::string& csr_uid);
  WorkResult TendRecord(const TokenId& id);
  void Forget(const TokenRecord& record);
  void ForgetIssue(const TokenId& id);

  const Options options_;
  KubernetesClient& client_;
  TokenStore& store_;
  AuditLog& audit_;
  const Clock& clock_;
  Mutex mutex_;
  // UIDs of CSRs of bootstrap tokens that were deleted without a certificate.
  // Bounded; a UID that fell out only costs its token the way back to kActive.
  std::set<std::string> died_unsigned_ ABSL_GUARDED_BY(mutex_);
  // Those that were put in there, oldest first: the next to fall out.
  std::deque<std::string> deaths_ ABSL_GUARDED_BY(mutex_);
  // The certificates of reserved tokens, by token id.
  std::map<std::string, Issue> issues_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_TOKEN_UPKEEP_H_
