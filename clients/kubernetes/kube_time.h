// metav1.Time and absl::Time.

#ifndef LATCHKEY_CLIENTS_KUBERNETES_KUBE_TIME_H_
#define LATCHKEY_CLIENTS_KUBERNETES_KUBE_TIME_H_

#include <absl/time/time.h>

#include "kubernetes/meta.pb.h"

namespace latchkey {

// Whole seconds, as Kubernetes keeps them; fractions are cut off.
inline kubernetes::Time ToKubernetesTime(absl::Time time) {
  kubernetes::Time result;
  result.set_seconds(absl::ToUnixSeconds(time));
  result.set_nanos(0);
  return result;
}

// Whole microseconds, for the fields that are MicroTime upstream.
inline kubernetes::Time ToKubernetesMicroTime(absl::Time time) {
  kubernetes::Time result = ToKubernetesTime(time);
  const absl::Duration rest = time - absl::FromUnixSeconds(result.seconds());
  result.set_nanos(static_cast<int>(absl::ToInt64Microseconds(rest) * 1000));
  return result;
}

// The infinite past if the message is empty, which stands for no time.
inline absl::Time FromKubernetesTime(const kubernetes::Time& time) {
  if (!time.has_seconds()) return absl::InfinitePast();
  return absl::FromUnixSeconds(time.seconds()) +
         absl::Nanoseconds(time.nanos());
}

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_KUBERNETES_KUBE_TIME_H_
