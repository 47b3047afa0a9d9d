#include "services/csr_rules.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

// Two API servers of one cluster stamp the CSR and the record.
constexpr absl::Duration kClockSkew = absl::Seconds(2);

absl::Status Denied(std::string_view reason, std::string_view message) {
  return Refuse(absl::StatusCode::kPermissionDenied, reason, message);
}

absl::Status CheckUsages(
    const kubernetes::CertificateSigningRequestSpec& spec) {
  const std::set<std::string> usages(spec.usages().begin(),
                                     spec.usages().end());
  std::set<std::string> wanted = {"digital signature", "client auth"};
  const bool exact = usages == wanted;
  wanted.insert("key encipherment");
  if ((exact || usages == wanted) &&
      usages.size() == static_cast<size_t>(spec.usages_size())) {
    return absl::OkStatus();
  }
  return Denied(reason::kCsrUsages,
                "the usages must be digital signature and client auth, and may "
                "have key encipherment besides");
}

absl::Status CheckGroups(const kubernetes::CertificateSigningRequestSpec& spec,
                         const TokenRecord& record) {
  // What the bootstrap-token authenticator answers, and the group that every
  // authenticated request gets.
  std::set<std::string> minted(record.groups.begin(), record.groups.end());
  minted.insert({"system:bootstrappers", "system:authenticated"});
  const std::set<std::string> groups(spec.groups().begin(),
                                     spec.groups().end());
  if (groups == minted) return absl::OkStatus();
  return Denied(reason::kScopeGroups,
                "the requester's groups are not those of the token");
}

absl::Status CheckLifetime(
    const kubernetes::CertificateSigningRequestSpec& spec,
    const TokenScope& scope) {
  if (!scope.max_certificate_lifetime.has_value()) return absl::OkStatus();
  if (spec.has_expiration_seconds() &&
      absl::Seconds(spec.expiration_seconds()) <=
          *scope.max_certificate_lifetime) {
    return absl::OkStatus();
  }
  return Denied(
      reason::kScopeCertificateLifetime,
      fmt::format("expirationSeconds must be set, to at most {}",
                  absl::ToInt64Seconds(*scope.max_certificate_lifetime)));
}

}  // namespace

CsrState StateOf(const kubernetes::CertificateSigningRequest& csr) {
  bool approved = false;
  bool dead = false;
  for (const auto& condition : csr.status().conditions()) {
    approved |= condition.type() == "Approved";
    dead |= condition.type() == "Denied" || condition.type() == "Failed";
  }
  // A certificate counts whatever else is said: it can be used.
  if (!csr.status().certificate().empty()) return CsrState::kIssued;
  if (dead) return CsrState::kDead;
  return approved ? CsrState::kApproved : CsrState::kPending;
}

absl::StatusOr<CertificateRequest> CheckRequest(std::string_view pem,
                                                std::string_view node_name) {
  absl::StatusOr<CertificateRequest> request = CertificateRequest::Parse(pem);
  if (!request.ok()) {
    return Refuse(absl::StatusCode::kInvalidArgument, reason::kCsrMalformed,
                  std::string(request.status().message()));
  }
  if (!request->HasAcceptableKey()) {
    return Denied(reason::kCsrKeyWeak,
                  "the key must be P-256, P-384, Ed25519, or RSA of 2048 to "
                  "8192 bits");
  }
  if (request->organizations != std::vector<std::string>{"system:nodes"} ||
      request->common_names.size() != 1 ||
      request->has_other_subject_attributes) {
    return Denied(reason::kCsrSubject,
                  "the subject must be one O, system:nodes, and one CN");
  }
  if (request->has_subject_alt_name) {
    return Denied(reason::kCsrSubjectAltName,
                  "a kubelet client certificate has no subjectAltName");
  }
  if (request->has_other_extensions) {
    return Denied(reason::kCsrExtensions,
                  "a kubelet client certificate asks for no extension");
  }
  if (request->common_names.front() !=
      fmt::format("system:node:{}", node_name)) {
    return Denied(reason::kScopeNodeName,
                  "the CN is not system:node: and the token's node name");
  }
  return request;
}

absl::StatusOr<KeyDigest> CheckCsr(
    const kubernetes::CertificateSigningRequest& csr,
    const TokenRecord& record) {
  LATCHKEY_ASSIGN_OR_RETURN(
      const CertificateRequest request,
      CheckRequest(csr.spec().request(), record.scope.node_name));
  LATCHKEY_RETURN_IF_ERROR(CheckUsages(csr.spec()));
  LATCHKEY_RETURN_IF_ERROR(CheckGroups(csr.spec(), record));
  const absl::Time created =
      absl::FromUnixSeconds(csr.metadata().creation_timestamp().seconds());
  if (created + kClockSkew < record.create_time) {
    return Denied(reason::kCsrTooOld, "the CSR is older than the token");
  }
  LATCHKEY_RETURN_IF_ERROR(CheckLifetime(csr.spec(), record.scope));
  return request.key_digest;
}

}  // namespace latchkey
