#include "devcluster/csr_cleaner.h"

#include "clients/kubernetes/kube_time.h"
#include "crypto/certificate.h"
#include "devcluster/csr_conditions.h"

namespace latchkey {
namespace {

constexpr absl::Duration kDoneFor = absl::Hours(1);
constexpr absl::Duration kWaitingFor = absl::Hours(24);

bool HasExpired(std::string_view certificate_pem, absl::Time now) {
  const auto certificates = Certificate::ParseAll(certificate_pem);
  return certificates.ok() && certificates->front().not_after < now;
}

}  // namespace

bool IsOutdated(const kubernetes::CertificateSigningRequest& csr,
                absl::Time now) {
  // Whether it has had this condition for so long.
  const auto has_been = [&](std::string_view type, absl::Duration time) {
    const auto* condition = ConditionOf(csr, type);
    return condition != nullptr &&
           FromKubernetesTime(condition->last_update_time()) < now - time;
  };
  const bool issued = !csr.status().certificate().empty();
  const absl::Time created =
      FromKubernetesTime(csr.metadata().creation_timestamp());
  return (issued && has_been("Approved", kDoneFor)) ||
         has_been("Denied", kDoneFor) || has_been("Failed", kDoneFor) ||
         (csr.status().conditions().empty() && created < now - kWaitingFor) ||
         (!issued && has_been("Approved", kWaitingFor)) ||
         (issued && HasExpired(csr.status().certificate(), now));
}

}  // namespace latchkey
