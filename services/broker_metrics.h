// What the broker counts and times, for Prometheus. The one wall around
// prometheus-cpp; docs/metrics.md lists every metric.
//
// Labels come from this program (RPCs, codes, reasons, states), never from a
// request: no name of a node, token or provisioner, and so a bounded number of
// series.

#ifndef LATCHKEY_SERVICES_BROKER_METRICS_H_
#define LATCHKEY_SERVICES_BROKER_METRICS_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/time/time.h>

namespace latchkey {

// Safe for concurrent use.
class BrokerMetrics {
 public:
  static constexpr std::string_view kBatchItem = "batch_item";

  BrokerMetrics();
  BrokerMetrics(const BrokerMetrics&) = delete;
  BrokerMetrics& operator=(const BrokerMetrics&) = delete;
  ~BrokerMetrics();

  // A call ended `took` after it came in; `reason` is that of a refusal, or
  // empty. `rpc` is RpcDeclaration::metric, or kBatchItem for an item of a
  // batch, which is timed from its entry into the queue.
  void RpcEnded(std::string_view rpc, absl::StatusCode code,
                std::string_view reason, absl::Duration took);

  // A CSR was approved, or denied for `reason`, `waited` after this broker
  // first saw it.
  void CsrApproved(const std::string& csr_uid, absl::Duration waited);
  void CsrDenied(std::string_view reason, absl::Duration waited);
  // The certificate of a CSR is there. Timed if this broker approved it: what
  // it approved is remembered for the last 10,000 CSRs.
  void CertificateSeen(const std::string& csr_uid);

  // A call, or a CSR, would have been denied, but the policy only observes.
  void Observed(std::string_view reason);
  // The policy was read: at the start and at each change. `digest` says which
  // it is; a bad one leaves the last digest as it is.
  void PolicyLoaded(std::string_view digest);
  void PolicyRefused();
  // Audit records that could not be written.
  void AuditLost(size_t records);
  // An audit record lacked a fact that its RPC declares: a bug.
  void AuditIncomplete();

  // A connection was closed as soon as it came. `port` as below; `limit`: a
  // name of ConnectionRefusalName.
  void ConnectionRefused(std::string_view port, std::string_view limit);

  // A watch is up to date from now on, or not: at the start, and at each
  // change. `watch`: "csrs" or "records".
  void WatchFresh(std::string_view watch, bool fresh);
  // The watch of records has shown a token, `lag` after its mint was answered.
  void MintSeen(absl::Duration lag);

  // As things stand. `port`: "provisioner" or "node". `state`: a name of
  // TokenStateName. `pool`: "approver" or "upkeep".
  void SetQueue(std::string_view port, size_t waiting, size_t busy);
  void SetConnections(std::string_view port, size_t count);
  void SetReachable(bool reachable);
  void SetBacklog(std::string_view pool, size_t waiting, size_t retrying);
  void SetRecords(std::string_view state, size_t count);
  // `update` is called before each Text(), to set what is said above. What it
  // looks at must outlive the last Text().
  void OnScrape(std::function<void(BrokerMetrics&)> update);

  // All of it in Prometheus' text format.
  std::string Text();

 private:
  struct Series;
  const std::unique_ptr<Series> series_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_BROKER_METRICS_H_
