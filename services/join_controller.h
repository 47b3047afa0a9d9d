// Runs the approver and the upkeep: watches CSRs and token records, hands what
// changed to the threads that decide, and tells the index of records and
// whoever watches tokens.

#ifndef LATCHKEY_SERVICES_JOIN_CONTROLLER_H_
#define LATCHKEY_SERVICES_JOIN_CONTROLLER_H_

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "clients/kubernetes/kubernetes_client.h"
#include "clients/kubernetes/reflector.h"
#include "core/clock.h"
#include "core/mutex.h"
#include "core/thread.h"
#include "services/broker_metrics.h"
#include "services/csr_approver.h"
#include "services/record_index.h"
#include "services/token_events.h"
#include "services/token_upkeep.h"
#include "services/worker_pool.h"

namespace latchkey {

class JoinController {
 public:
  struct Options {
    int approver_threads = 8;
    int upkeep_threads = 4;
    // Told of certificates and of watches, if there is one; must outlive the
    // controller.
    BrokerMetrics* metrics = nullptr;
    // When to look at a record that was reserved just now, unless its CSR makes
    // itself heard before, as that of every join does: until then there is
    // nothing to do for it, and the join is waited for.
    absl::Duration reserved_look = absl::Seconds(5);
  };

  // Starts at once. All must outlive this.
  JoinController(Options options, KubernetesClient& client,
                 CsrApprover& approver, TokenUpkeep& upkeep, RecordIndex& index,
                 TokenEvents& events, const Clock& clock);
  JoinController(const JoinController&) = delete;
  JoinController& operator=(const JoinController&) = delete;
  // Finishes the work in hand.
  ~JoinController();

  // True while both watches are up to date, as far as is known. Safe to call
  // from any thread.
  bool fresh() const { return csrs_fresh() && records_fresh(); }
  bool csrs_fresh() const { return csrs_.fresh(); }
  bool records_fresh() const { return records_.fresh(); }

  // What is behind with.
  WorkerPool::Load approver_load() const { return approver_pool_.load(); }
  WorkerPool::Load upkeep_load() const { return upkeep_pool_.load(); }

 private:
  using Csr = kubernetes::CertificateSigningRequest;

  void NoteFresh(std::string_view watch, bool fresh);
  ReflectorHandler<Csr> CsrHandler();
  ReflectorHandler<kubernetes::Secret> RecordHandler();
  void OnCsrList(std::vector<Csr> csrs);
  void OnCsr(Csr csr);
  void OnCsrDeleted(const Csr& csr);
  void OnRecordList(const std::vector<kubernetes::Secret>& secrets,
                    const std::string& version);
  void OnRecord(const kubernetes::Secret& secret);
  void OnRecordDeleted(const kubernetes::Secret& secret);
  // Has the token looked at when there is something to do. `news`: it has
  // changed just now. Else it was there before.
  void Schedule(const TokenRecord& record, bool news);
  WorkResult DecideByName(const std::string& name);

  const Options options_;
  CsrApprover& approver_;
  TokenUpkeep& upkeep_;
  RecordIndex& index_;
  TokenEvents& events_;
  const Clock& clock_;
  Mutex mutex_;
  // The CSRs to decide, as last seen, and when first.
  struct Pending {
    Csr csr;
    absl::Time seen;
  };
  std::map<std::string, Pending> pending_ ABSL_GUARDED_BY(mutex_);

  // In this order: the reflectors feed the pools, so they stop first, that is,
  // they come last.
  WorkerPool approver_pool_;
  WorkerPool upkeep_pool_;
  Reflector<Csr, kubernetes::CertificateSigningRequestList> csrs_;
  Reflector<kubernetes::Secret, kubernetes::SecretList> records_;
  std::vector<Thread> threads_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_JOIN_CONTROLLER_H_
