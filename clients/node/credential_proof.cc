#include "clients/node/credential_proof.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "clients/kubernetes/kubernetes_status.h"
#include "clients/node/node_certificate.h"
#include "core/refusal.h"

namespace latchkey {

absl::Status ProveCredential(KubernetesClient& client,
                             std::string_view node_name) {
  const auto answer = client.Create(kubernetes::SelfSubjectReview());
  if (absl::IsNotFound(answer.status())) {
    return absl::UnimplementedError("the API server is older than 1.28");
  }
  // Perhaps a proxy's words.
  if (IsWithoutKubernetesStatus(answer.status())) {
    return WithRetryAfter(
        absl::UnavailableError(std::string(answer.status().message())),
        RetryAfterOf(answer.status()));
  }
  if (absl::IsUnauthenticated(answer.status())) {
    return absl::PermissionDeniedError(
        "the API server does not accept the certificate; does its "
        "--client-ca-file have the authority of the cluster's signer?");
  }
  if (absl::IsPermissionDenied(answer.status())) {
    return absl::AbortedError(std::string(answer.status().message()));
  }
  if (!answer.ok()) return answer.status();
  const kubernetes::UserInfo& user = answer->status().user_info();
  if (user.username() != NodeUserName(node_name) ||
      std::ranges::count(user.groups(), kNodesGroup) == 0) {
    return absl::PermissionDeniedError(
        fmt::format("the API server takes the certificate for {}, not for {} "
                    "in the group {}",
                    user.username(), NodeUserName(node_name), kNodesGroup));
  }
  return absl::OkStatus();
}

}  // namespace latchkey
