// Whether the API server answers.

#ifndef LATCHKEY_SERVER_CLUSTER_PROBE_H_
#define LATCHKEY_SERVER_CLUSTER_PROBE_H_

#include <atomic>

#include <absl/time/time.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "core/mutex.h"
#include "core/thread.h"

namespace latchkey {

// Asks for an object by its name, over and over, on a thread of its own. A
// watch cannot tell: its silence may be a cluster in which nothing happens, or
// an API server, or an etcd behind it, that hangs. The object need not be
// there; the answer must be the cluster's, and that this broker may read it.
class ClusterProbe {
 public:
  static constexpr absl::Duration kInterval = absl::Seconds(5);

  // `client` must outlive this. It should give a request up after some seconds,
  // and retry nothing.
  explicit ClusterProbe(KubernetesClient& client,
                        absl::Duration interval = kInterval);
  ClusterProbe(const ClusterProbe&) = delete;
  ClusterProbe& operator=(const ClusterProbe&) = delete;
  // Waits for the request in hand.
  ~ClusterProbe();

  // How it was the last time; false before the first answer.
  bool reachable() const { return reachable_; }

 private:
  void Run();

  KubernetesClient& client_;
  const absl::Duration interval_;
  std::atomic<bool> reachable_ = false;
  Mutex mutex_;
  CondVar stop_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  Thread thread_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVER_CLUSTER_PROBE_H_
