// The service of the provisioners' port with everything that it asks, over a
// store that a test gives, and a cluster that is empty but for that.

#ifndef LATCHKEY_TESTS_FAKES_PROVISIONER_SIDE_H_
#define LATCHKEY_TESTS_FAKES_PROVISIONER_SIDE_H_

#include <utility>

#include "services/call_frame.h"
#include "services/cluster_endpoints.h"
#include "services/csr_approver.h"
#include "services/fair_queue.h"
#include "services/misuse.h"
#include "services/token_administration.h"
#include "services/token_broker.h"
#include "services/token_broker_service.h"
#include "services/token_events.h"
#include "services/watch_tokens_call.h"
#include "tests/fakes/fake_kubernetes_client.h"
#include "tests/fakes/recording_audit_log.h"

namespace latchkey_testing {

class ProvisionerSide {
 public:
  // All must outlive this.
  ProvisionerSide(latchkey::TokenBroker& broker, latchkey::TokenStore& store,
                  const latchkey::LivePolicy& policy,
                  latchkey::ClusterSource cluster, latchkey::CallFrame& frame,
                  const latchkey::Clock& clock)
      : api_(clock),
        misuse_(store, policy, audit_, clock),
        approver_({}, api_, store, misuse_, audit_, clock),
        administration_(api_, store, approver_, policy, clock),
        events_({}, api_),
        watches_({}, events_, policy, clock),
        service_(broker, administration_, watches_, std::move(cluster),
                 batch_queue_, frame) {}

  latchkey::TokenBrokerService& service() { return service_; }
  // Streams begin, or are told of a gap.
  void ShowAnEmptyCluster() {
    events_.RecordsListed({}, "1");
    events_.CsrsListed({}, "1");
  }

 private:
  FakeKubernetesClient api_;
  RecordingAuditLog audit_;
  latchkey::MisuseGuard misuse_;
  latchkey::CsrApprover approver_;
  latchkey::TokenAdministration administration_;
  latchkey::TokenEvents events_;
  latchkey::TokenWatches watches_;
  latchkey::FairQueue batch_queue_{{.threads = 8}};
  latchkey::TokenBrokerService service_;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_FAKES_PROVISIONER_SIDE_H_
