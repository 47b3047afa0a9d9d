#include "server/cluster_probe.h"

#include <string>

#include <absl/status/status.h>

#include "clients/kubernetes/resource.h"
#include "core/execution.h"
#include "storage/token_secret.h"

namespace latchkey {
namespace {

// No bootstrap token has such a name.
constexpr char kName[] = "latchkey-probe";

// 429 is an answer too: the cluster is there, and busy.
bool IsAnswer(const absl::Status& status) {
  return status.ok() || absl::IsNotFound(status) ||
         absl::IsResourceExhausted(status);
}

}  // namespace

ClusterProbe::ClusterProbe(KubernetesClient& client, absl::Duration interval)
    : client_(client), interval_(interval), thread_([this] { Run(); }) {}

ClusterProbe::~ClusterProbe() {
  const MutexLock lock(mutex_);
  stopping_ = true;
  stop_.SignalAll();
}

void ClusterProbe::Run() {
  const ObjectName name{std::string(kTokenNamespace), kName};
  while (true) {
    kubernetes::Secret secret;
    reachable_ = IsAnswer(client_.GetObject(kSecrets, name, secret));
    const absl::Time next = ExecutionNow() + interval_;
    const MutexLock lock(mutex_);
    while (!stopping_) {
      const absl::Duration left = next - ExecutionNow();
      if (left <= absl::ZeroDuration()) break;
      stop_.WaitFor(mutex_, left);
    }
    if (stopping_) return;
  }
}

}  // namespace latchkey
