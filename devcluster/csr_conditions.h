// The conditions of a CertificateSigningRequest.

#ifndef LATCHKEY_DEVCLUSTER_CSR_CONDITIONS_H_
#define LATCHKEY_DEVCLUSTER_CSR_CONDITIONS_H_

#include <string>
#include <string_view>

#include "kubernetes/certificates.pb.h"

namespace latchkey {

// The one of `type`, e.g. "Approved"; null if there is none.
inline const kubernetes::CertificateSigningRequestCondition* ConditionOf(
    const kubernetes::CertificateSigningRequest& csr, std::string_view type) {
  for (const auto& condition : csr.status().conditions()) {
    if (condition.type() == type) return &condition;
  }
  return nullptr;
}

inline void AddCondition(kubernetes::CertificateSigningRequest& csr,
                         std::string_view type, std::string_view reason,
                         std::string_view message) {
  auto& condition = *csr.mutable_status()->add_conditions();
  condition.set_type(std::string(type));
  condition.set_status("True");
  condition.set_reason(std::string(reason));
  condition.set_message(std::string(message));
}

// Nobody has decided on it, and it has no certificate.
inline bool IsPending(const kubernetes::CertificateSigningRequest& csr) {
  return csr.status().certificate().empty() &&
         ConditionOf(csr, "Approved") == nullptr &&
         ConditionOf(csr, "Denied") == nullptr;
}

// What a signer is to work on.
inline bool AwaitsSigning(const kubernetes::CertificateSigningRequest& csr) {
  return csr.status().certificate().empty() &&
         ConditionOf(csr, "Approved") != nullptr &&
         ConditionOf(csr, "Denied") == nullptr &&
         ConditionOf(csr, "Failed") == nullptr;
}

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_CSR_CONDITIONS_H_
