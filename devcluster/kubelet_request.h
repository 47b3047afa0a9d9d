// What Kubernetes asks of a request for a kubelet's client certificate, and how
// it reads one.

#ifndef LATCHKEY_DEVCLUSTER_KUBELET_REQUEST_H_
#define LATCHKEY_DEVCLUSTER_KUBELET_REQUEST_H_

#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "crypto/certificate_request.h"
#include "kubernetes/certificates.pb.h"

namespace latchkey {

inline constexpr std::string_view kKubeletSignerName =
    "kubernetes.io/kube-apiserver-client-kubelet";

// The PEM block that spec.request is to Kubernetes: its first, whatever stands
// around it. kInvalidArgument if there is none, or it is of another label.
absl::StatusOr<std::string_view> FirstRequestBlock(std::string_view text);

// kInvalidArgument, saying which rule failed, unless signer, subject, names and
// usages are those of a kubelet's client certificate. Which node it names is
// nobody's concern here.
absl::Status CheckKubeletRequest(
    const kubernetes::CertificateSigningRequestSpec& spec,
    const CertificateRequest& request);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_KUBELET_REQUEST_H_
