#include "devcluster/stock_approver.h"

#include <string>

#include "core/status_macros.h"
#include "devcluster/csr_conditions.h"
#include "devcluster/csr_object_rules.h"
#include "devcluster/kubelet_request.h"

namespace latchkey {
namespace {

struct Recognizer {
  std::string_view subresource;
  // The requester is the node itself, which renews its certificate.
  bool of_itself;
  std::string_view message;
};

constexpr Recognizer kRecognizers[] = {
    {"selfnodeclient", true,
     "Auto approving self kubelet client certificate after "
     "SubjectAccessReview."},
    {"nodeclient", false,
     "Auto approving kubelet client certificate after SubjectAccessReview."},
};

}  // namespace

absl::StatusOr<bool> StockApprover::MayHave(
    const kubernetes::CertificateSigningRequestSpec& spec,
    std::string_view subresource) {
  kubernetes::SubjectAccessReview review;
  auto& asked = *review.mutable_spec();
  asked.set_user(spec.username());
  asked.set_uid(spec.uid());
  *asked.mutable_groups() = spec.groups();
  *asked.mutable_extra() = spec.extra();
  auto& attributes = *asked.mutable_resource_attributes();
  attributes.set_group("certificates.k8s.io");
  attributes.set_version("*");
  attributes.set_resource("certificatesigningrequests");
  attributes.set_verb("create");
  attributes.set_subresource(std::string(subresource));
  LATCHKEY_ASSIGN_OR_RETURN(const auto answered, client_.Create(review));
  return answered.status().allowed();
}

absl::Status StockApprover::Handle(
    const kubernetes::CertificateSigningRequest& csr) {
  if (!IsPending(csr)) return absl::OkStatus();
  const auto request = ParseFirstRequest(csr.spec().request());
  if (!request.ok() || !CheckKubeletRequest(csr.spec(), *request).ok()) {
    return absl::OkStatus();  // not for this approver to judge
  }
  for (const Recognizer& recognizer : kRecognizers) {
    if (recognizer.of_itself &&
        csr.spec().username() != request->common_names.back()) {
      continue;
    }
    LATCHKEY_ASSIGN_OR_RETURN(const bool allowed,
                              MayHave(csr.spec(), recognizer.subresource));
    if (!allowed) continue;
    kubernetes::CertificateSigningRequest approved = csr;
    AddCondition(approved, "Approved", "AutoApproved", recognizer.message);
    return client_.Update(approved, "approval").status();
  }
  return absl::OkStatus();
}

}  // namespace latchkey
