#include "services/broker_metrics.h"

#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "core/execution.h"
#include "core/mutex.h"
#include "core/version.h"

namespace latchkey {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;

constexpr size_t kMaxRemembered = 10'000;

// From a call that touches only memory to one that gave up.
const Histogram::BucketBoundaries& CallBuckets() {
  static const Histogram::BucketBoundaries buckets = {
      0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
      0.25,  0.5,    1,     2.5,  5,     10,   30};
  return buckets;
}

// A signer works in milliseconds, or a person signs.
const Histogram::BucketBoundaries& SignerBuckets() {
  static const Histogram::BucketBoundaries buckets = {
      0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
      2.5,   5,    10,    30,   60,  300,  900};
  return buckets;
}

}  // namespace

struct BrokerMetrics::Series {
  Family<Counter>& Count(const std::string& name, const std::string& help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  Family<Gauge>& Level(const std::string& name, const std::string& help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
  }
  Family<Histogram>& Times(const std::string& name, const std::string& help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(
        registry);
  }

  prometheus::Registry registry;
  Family<Counter>& rpcs = Count("latchkey_rpcs_total", "Calls, by their end.");
  Family<Histogram>& rpc_seconds =
      Times("latchkey_rpc_duration_seconds",
            "From a call's arrival to its answer, waiting included, by whether "
            "it was done.");
  Family<Counter>& refusals = Count(
      "latchkey_refusals_total",
      "Refused calls, refused items of batches and denied CSRs, by reason "
      "(docs/errors.md).");
  Family<Counter>& observed =
      Count("latchkey_policy_observed_total",
            "What the policy would have denied, were it not only observing.");
  Family<Counter>& csrs =
      Count("latchkey_csrs_total", "CSRs decided by this broker.");
  Family<Histogram>& csr_seconds =
      Times("latchkey_csr_decision_seconds",
            "From the moment this broker saw a CSR to its decision.");
  Histogram& approval_seconds =
      csr_seconds.Add({{"decision", "approved"}}, CallBuckets());
  Histogram& denial_seconds =
      csr_seconds.Add({{"decision", "denied"}}, CallBuckets());
  Histogram& certificate_seconds =
      Times("latchkey_certificate_seconds",
            "From this broker's approval to the certificate.")
          .Add({}, SignerBuckets());
  Family<Counter>& policies =
      Count("latchkey_policy_loads_total", "Policies read, by outcome.");
  Family<Gauge>& policy_info =
      Level("latchkey_policy_info", "1 for the digest of the policy in force.");
  Counter& audit_lost =
      Count("latchkey_audit_lost_total",
            "Audit records that could not be written when they were due.")
          .Add({});
  Counter& audit_incomplete =
      Count("latchkey_audit_incomplete_total",
            "Audit records that lacked a fact: a bug of Latchkey's.")
          .Add({});
  Family<Gauge>& waiting =
      Level("latchkey_calls_waiting", "Calls that wait for their turn.");
  Family<Gauge>& busy =
      Level("latchkey_calls_running", "Calls that are worked on.");
  Family<Gauge>& connections =
      Level("latchkey_connections", "Connections that are open.");
  Gauge& reachable = Level("latchkey_api_server_reachable",
                           "1 while the API server answers this broker.")
                         .Add({});
  Family<Counter>& connections_refused =
      Count("latchkey_connections_refused_total",
            "Connections closed as soon as they came, by the limit.");
  Family<Gauge>& fresh =
      Level("latchkey_watch_fresh",
            "1 while the watch is up to date, as far as is known.");
  Family<Gauge>& stale =
      Level("latchkey_watch_stale_seconds",
            "How long the watch has not been up to date; 0 while it is.");
  Histogram& watch_lag =
      Times("latchkey_watch_lag_seconds",
            "From the answer to this broker's write of a new token to its "
            "event in this broker's watch.")
          .Add({}, CallBuckets());
  Family<Gauge>& work_waiting =
      Level("latchkey_work_waiting",
            "CSRs and records that wait for a thread to look at them.");
  Family<Gauge>& work_retrying =
      Level("latchkey_work_retrying",
            "CSRs and records that wait to be tried again.");
  Family<Gauge>& records =
      Level("latchkey_records", "Token records in the cluster, by state.");

  // The series of calls that end so, found once: prometheus-cpp would hash the
  // labels at every call.
  struct EndedRpc {
    Counter* count;
    Histogram* seconds;
  };
  EndedRpc Ended(std::string_view rpc, absl::StatusCode code) {
    const MutexLock lock(rpcs_mutex);
    const auto known = ended_rpcs.find({rpc, code});
    if (known != ended_rpcs.end()) return known->second;
    const std::string name(rpc);
    const EndedRpc found = {
        &rpcs.Add({{"rpc", name}, {"code", absl::StatusCodeToString(code)}}),
        // Refused calls cost little: among them, those that were done would
        // seem fast whenever there are many.
        &rpc_seconds.Add(
            {{"rpc", name},
             {"outcome", code == absl::StatusCode::kOk ? "ok" : "error"}},
            CallBuckets())};
    ended_rpcs.emplace(std::pair(rpc, code), found);
    return found;
  }
  Mutex rpcs_mutex;
  // Its keys are of RpcDeclaration::metric and kBatchItem, which stay.
  std::map<std::pair<std::string_view, absl::StatusCode>, EndedRpc> ended_rpcs
      ABSL_GUARDED_BY(rpcs_mutex);

  Mutex mutex;
  std::vector<std::function<void(BrokerMetrics&)>> updates
      ABSL_GUARDED_BY(mutex);
  std::string policy_digest ABSL_GUARDED_BY(mutex);
  Gauge* policy ABSL_GUARDED_BY(mutex) = nullptr;
  // When what was approved, oldest first.
  std::map<std::string, absl::Time> approved ABSL_GUARDED_BY(mutex);
  std::deque<std::string> approved_order ABSL_GUARDED_BY(mutex);
  // Each watch, and since when it is not fresh, if it is not.
  std::map<std::string, std::optional<absl::Time>> stale_since
      ABSL_GUARDED_BY(mutex);
};

BrokerMetrics::BrokerMetrics() : series_(std::make_unique<Series>()) {
  series_->Level("latchkey_build_info", "1, with the version of this program.")
      .Add({{"version", kVersion}})
      .Set(1);
}

BrokerMetrics::~BrokerMetrics() = default;

void BrokerMetrics::RpcEnded(std::string_view rpc, absl::StatusCode code,
                             std::string_view reason, absl::Duration took) {
  const Series::EndedRpc ended = series_->Ended(rpc, code);
  ended.count->Increment();
  ended.seconds->Observe(absl::ToDoubleSeconds(took));
  if (!reason.empty()) {
    series_->refusals.Add({{"reason", std::string(reason)}}).Increment();
  }
}

void BrokerMetrics::CsrApproved(const std::string& csr_uid,
                                absl::Duration waited) {
  series_->csrs.Add({{"decision", "approved"}}).Increment();
  series_->approval_seconds.Observe(absl::ToDoubleSeconds(waited));
  const MutexLock lock(series_->mutex);
  if (!series_->approved.try_emplace(csr_uid, ExecutionNow()).second) return;
  series_->approved_order.push_back(csr_uid);
  if (series_->approved_order.size() > kMaxRemembered) {
    series_->approved.erase(series_->approved_order.front());
    series_->approved_order.pop_front();
  }
}

void BrokerMetrics::CsrDenied(std::string_view reason, absl::Duration waited) {
  series_->csrs.Add({{"decision", "denied"}}).Increment();
  series_->denial_seconds.Observe(absl::ToDoubleSeconds(waited));
  series_->refusals.Add({{"reason", std::string(reason)}}).Increment();
}

void BrokerMetrics::CertificateSeen(const std::string& csr_uid) {
  std::optional<absl::Time> since;
  {
    const MutexLock lock(series_->mutex);
    const auto it = series_->approved.find(csr_uid);
    if (it == series_->approved.end()) return;
    since = it->second;
    series_->approved.erase(it);
  }
  series_->certificate_seconds.Observe(
      absl::ToDoubleSeconds(ExecutionNow() - *since));
}

void BrokerMetrics::Observed(std::string_view reason) {
  series_->observed.Add({{"reason", std::string(reason)}}).Increment();
}

void BrokerMetrics::PolicyLoaded(std::string_view digest) {
  series_->policies.Add({{"outcome", "loaded"}}).Increment();
  const MutexLock lock(series_->mutex);
  if (digest == series_->policy_digest) return;
  // One series at a time, however often the policy changes.
  if (series_->policy != nullptr) {
    series_->policy_info.Remove(series_->policy);
  }
  series_->policy_digest = std::string(digest);
  series_->policy =
      &series_->policy_info.Add({{"digest", series_->policy_digest}});
  series_->policy->Set(1);
}

void BrokerMetrics::PolicyRefused() {
  series_->policies.Add({{"outcome", "refused"}}).Increment();
}

void BrokerMetrics::AuditLost(size_t records) {
  series_->audit_lost.Increment(static_cast<double>(records));
}

void BrokerMetrics::AuditIncomplete() { series_->audit_incomplete.Increment(); }

void BrokerMetrics::ConnectionRefused(std::string_view port,
                                      std::string_view limit) {
  series_->connections_refused
      .Add({{"port", std::string(port)}, {"limit", std::string(limit)}})
      .Increment();
}

void BrokerMetrics::SetQueue(std::string_view port, size_t waiting,
                             size_t busy) {
  const prometheus::Labels labels = {{"port", std::string(port)}};
  series_->waiting.Add(labels).Set(static_cast<double>(waiting));
  series_->busy.Add(labels).Set(static_cast<double>(busy));
}

void BrokerMetrics::SetConnections(std::string_view port, size_t count) {
  series_->connections.Add({{"port", std::string(port)}})
      .Set(static_cast<double>(count));
}

void BrokerMetrics::SetReachable(bool reachable) {
  series_->reachable.Set(reachable ? 1 : 0);
}

void BrokerMetrics::WatchFresh(std::string_view watch, bool fresh) {
  const MutexLock lock(series_->mutex);
  auto& since = series_->stale_since[std::string(watch)];
  if (fresh) {
    since.reset();
  } else if (!since.has_value()) {
    since = ExecutionNow();
  }
}

void BrokerMetrics::MintSeen(absl::Duration lag) {
  series_->watch_lag.Observe(absl::ToDoubleSeconds(lag));
}

void BrokerMetrics::SetBacklog(std::string_view pool, size_t waiting,
                               size_t retrying) {
  const prometheus::Labels labels = {{"pool", std::string(pool)}};
  series_->work_waiting.Add(labels).Set(static_cast<double>(waiting));
  series_->work_retrying.Add(labels).Set(static_cast<double>(retrying));
}

void BrokerMetrics::SetRecords(std::string_view state, size_t count) {
  series_->records.Add({{"state", std::string(state)}})
      .Set(static_cast<double>(count));
}

void BrokerMetrics::OnScrape(std::function<void(BrokerMetrics&)> update) {
  const MutexLock lock(series_->mutex);
  series_->updates.push_back(std::move(update));
}

std::string BrokerMetrics::Text() {
  std::vector<std::function<void(BrokerMetrics&)>> updates;
  {
    const MutexLock lock(series_->mutex);
    updates = series_->updates;
    for (const auto& [watch, since] : series_->stale_since) {
      const prometheus::Labels labels = {{"watch", watch}};
      series_->fresh.Add(labels).Set(since.has_value() ? 0 : 1);
      series_->stale.Add(labels).Set(
          since.has_value() ? absl::ToDoubleSeconds(ExecutionNow() - *since)
                            : 0);
    }
  }
  for (const auto& update : updates) update(*this);
  return prometheus::TextSerializer().Serialize(series_->registry.Collect());
}

}  // namespace latchkey
