#include "devcluster/csr_signer.h"

#include <algorithm>
#include <string>

#include "core/status_macros.h"
#include "crypto/certificate.h"
#include "devcluster/csr_conditions.h"
#include "devcluster/kubelet_request.h"

namespace latchkey {
namespace {

constexpr absl::Duration kShortest = absl::Minutes(10);
// For nodes whose clocks are behind. A short certificate is not made shorter by
// it.
constexpr absl::Duration kBackdate = absl::Minutes(5);
constexpr absl::Duration kShort = absl::Hours(8);

// What the certificate says beside its key.
CertificateProfile ProfileFor(
    const kubernetes::CertificateSigningRequestSpec& spec,
    const CertificateRequest& request, absl::Time now, absl::Duration longest) {
  absl::Duration lifetime = longest;
  if (spec.has_expiration_seconds()) {
    lifetime = std::clamp(absl::Seconds(spec.expiration_seconds()), kShortest,
                          std::max(longest, kShortest));
  }
  const absl::Time from = now - kBackdate;
  return {.common_name = request.common_names.back(),
          .organizations = request.organizations,
          .not_before = from,
          .not_after = (lifetime < kShort ? now : from) + lifetime,
          .client_auth = true};
}

absl::Time EndOf(const CertificateAuthority& ca) {
  const auto certificate = Certificate::ParseAll(ca.certificate_pem());
  return certificate.ok() ? certificate->front().not_after
                          : absl::InfinitePast();
}

}  // namespace

CsrSigner::CsrSigner(KubernetesClient& client, const CertificateAuthority& ca,
                     const Clock& clock, absl::Duration longest)
    : client_(client),
      ca_(ca),
      ca_end_(EndOf(ca)),
      clock_(clock),
      longest_(longest) {}

absl::StatusOr<std::string> CsrSigner::Certify(
    const kubernetes::CertificateSigningRequestSpec& spec) const {
  LATCHKEY_ASSIGN_OR_RETURN(const std::string_view block,
                            FirstRequestBlock(spec.request()));
  LATCHKEY_ASSIGN_OR_RETURN(const CertificateRequest request,
                            CertificateRequest::Parse(block));
  LATCHKEY_RETURN_IF_ERROR(CheckKubeletRequest(spec, request));
  const absl::Time now = clock_.Now();
  if (now >= ca_end_) {
    return absl::FailedPreconditionError("the authority has expired");
  }
  CertificateProfile profile = ProfileFor(spec, request, now, longest_);
  profile.not_after = std::min(profile.not_after, ca_end_);
  return ca_.SignRequest(block, profile);
}

absl::Status CsrSigner::Handle(
    const kubernetes::CertificateSigningRequest& csr) {
  if (csr.spec().signer_name() != kKubeletSignerName || !AwaitsSigning(csr)) {
    return absl::OkStatus();
  }
  kubernetes::CertificateSigningRequest done = csr;
  const absl::StatusOr<std::string> certificate = Certify(csr.spec());
  if (certificate.ok()) {
    done.mutable_status()->set_certificate(*certificate);
  } else if (absl::IsInvalidArgument(certificate.status())) {
    AddCondition(done, "Failed", "SignerValidationFailure",
                 std::string(certificate.status().message()));
  } else {
    return certificate.status();
  }
  return client_.Update(done, "status").status();
}

}  // namespace latchkey
