// Approves the one CSR that fits a token's scope, and denies what does not.
//
// The lock is the record: a CSR is approved only after its UID was written into
// the record by a conditional write (Reserve in storage/token_life.h), and the
// approval itself asserts the CSR's UID and resourceVersion. So any number of
// brokers may run this at once, and one may die between any two steps: the next
// one finds the reservation and completes it.

#ifndef LATCHKEY_SERVICES_CSR_APPROVER_H_
#define LATCHKEY_SERVICES_CSR_APPROVER_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/audit_log.h"
#include "clients/kubernetes/kubernetes_client.h"
#include "core/clock.h"
#include "kubernetes/certificates.pb.h"
#include "services/broker_metrics.h"
#include "services/misuse.h"
#include "services/worker_pool.h"
#include "storage/token_store.h"

namespace latchkey {

// Safe for concurrent use.
class CsrApprover {
 public:
  struct Options {
    // The group that every token of ours is minted in: a CSR of a bootstrap
    // token with this group and without a record is ours to deny.
    std::string token_group = "system:bootstrappers:latchkey";
    // Counted here, if there is one; must outlive the approver.
    BrokerMetrics* metrics = nullptr;
  };

  // All must outlive this.
  CsrApprover(Options options, KubernetesClient& client, TokenStore& store,
              MisuseGuard& misuse, AuditLog& audit, const Clock& clock)
      : options_(std::move(options)),
        client_(client),
        store_(store),
        misuse_(misuse),
        audit_(audit),
        clock_(clock) {}

  // True if `csr` may be one for Decide(): pending, of the kubelet-client
  // signer, and its requester is a bootstrap token. Cheap.
  static bool Concerns(const kubernetes::CertificateSigningRequest& csr);

  // Decides a CSR that concerns us, as it stood when it was last seen:
  //   approves it, if it fits its token (reserving the token first);
  //   denies it, with the named reason, if it does not;
  //   leaves it alone, if the token is not ours;
  //   kRetry, if the cluster did not give a certain answer: nothing is decided
  //   on a guess; while another CSR of the same key has the token; and while
  //   the audit log insists and cannot be written.
  // The decision is in the audit log before the cluster hears of it, and a
  // denial on the token's record once it stands; misuse is on both before,
  // since it may have the token revoked (services/misuse.h). `seen`: when this
  // broker first saw the CSR; for metrics. Blocks for a few round trips to the
  // API server.
  WorkResult Decide(const kubernetes::CertificateSigningRequest& csr,
                    absl::Time seen = absl::InfiniteFuture());

  // The token that `reservation` is of was revoked. Another broker may be about
  // to approve the CSR that has it, and asserts nothing but that CSR: so it is
  // denied, unless it is decided or gone. OK: no approval comes after this.
  // kUnavailable and the client's errors: nobody knows; ask again.
  absl::Status CutOff(const Reservation& reservation);

 private:
  // What to do with a CSR: OK to approve, a refusal to deny it with.
  struct Verdict {
    enum class Kind { kApprove, kDeny, kLeave, kRetry };
    Kind kind;
    absl::Status why;
    // As it was read; nothing if it is gone.
    std::optional<StoredToken> token = {};
  };
  Verdict Judge(const kubernetes::CertificateSigningRequest& csr,
                const TokenId& id);
  Verdict JudgeAgainst(StoredToken token,
                       const kubernetes::CertificateSigningRequest& csr);
  // OK if the node name is free, or may be taken over.
  absl::Status CheckNodeIsFree(const TokenScope& scope);
  WorkResult Conclude(kubernetes::CertificateSigningRequest csr,
                      const TokenId& id, const Verdict& verdict,
                      absl::Time seen);

  void Count(const kubernetes::CertificateSigningRequest& csr,
             std::string_view reason, bool approved, absl::Time seen);

  const Options options_;
  KubernetesClient& client_;
  TokenStore& store_;
  MisuseGuard& misuse_;
  AuditLog& audit_;
  const Clock& clock_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_CSR_APPROVER_H_
