#include "devcluster/admission.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string>

#include <fmt/format.h>

#include "clients/kubernetes/object_meta.h"
#include "core/status_macros.h"
#include "devcluster/api_error.h"
#include "devcluster/csr_object_rules.h"

namespace latchkey {
namespace {

using ::google::protobuf::Message;
using kubernetes::CertificateSigningRequest;

constexpr Resource kNamespaces = {"v1", "Namespace", "namespaces", false};
constexpr std::string_view kKnownNamespaces[] = {"default", "kube-node-lease",
                                                 "kube-public", "kube-system"};
constexpr std::string_view kNodeSigners[] = {
    "kubernetes.io/kube-apiserver-client-kubelet",
    "kubernetes.io/kubelet-serving"};

template <typename Range>
bool Contains(const Range& range, std::string_view text) {
  return std::find(std::begin(range), std::end(range), text) != std::end(range);
}

// Whether `user` may `verb` what the CSR's signer does.
absl::Status AskSigner(const Authorizer& authorizer, const User& user,
                       std::string_view verb,
                       const CertificateSigningRequest& csr) {
  const std::string& signer = csr.spec().signer_name();
  Access access{.verb = std::string(verb),
                .group = "certificates.k8s.io",
                .resource = "signers",
                .name = signer};
  if (authorizer.Allows(user, access)) return absl::OkStatus();
  access.name = signer.substr(0, signer.find('/')) + "/*";
  if (authorizer.Allows(user, access)) return absl::OkStatus();
  return ForbiddenError(
      kCertificateSigningRequests, csr.metadata().name(),
      fmt::format("user not permitted to {} requests with signerName \"{}\"",
                  verb, signer));
}

absl::Status AdmitCsr(const User& user, const CertificateSigningRequest& csr) {
  const auto request = ParseFirstRequest(csr.spec().request());
  if (!request.ok()) return absl::OkStatus();  // validation says so
  const std::string& signer = csr.spec().signer_name();
  if (signer == "kubernetes.io/kube-apiserver-client" &&
      Contains(request->organizations, "system:masters")) {
    return ForbiddenError(kCertificateSigningRequests, csr.metadata().name(),
                          "use of kubernetes.io/kube-apiserver-client signer "
                          "with system:masters group is not allowed");
  }
  if (!NodeOfUser(user) || !Contains(kNodeSigners, signer)) {
    return absl::OkStatus();
  }
  if (request->common_names.empty() ||
      request->common_names.back() != user.name) {
    return ForbiddenError(
        kCertificateSigningRequests, csr.metadata().name(),
        fmt::format("can only create a node CSR with CN={}", user.name));
  }
  return absl::OkStatus();
}

// A node may not give itself the labels by which it would be trusted.
absl::Status AdmitLabels(const User& user, const kubernetes::ObjectMeta* before,
                         const kubernetes::ObjectMeta& after) {
  constexpr std::string_view kRestricted = "node-restriction.kubernetes.io/";
  const auto restricted = [&](const kubernetes::ObjectMeta& metadata) {
    std::map<std::string, std::string> labels(metadata.labels().begin(),
                                              metadata.labels().end());
    std::erase_if(labels, [&](const auto& label) {
      return !label.first.starts_with(kRestricted);
    });
    return labels;
  };
  const auto old = before == nullptr ? std::map<std::string, std::string>()
                                     : restricted(*before);
  if (!NodeOfUser(user) || restricted(after) == old) return absl::OkStatus();
  return ForbiddenError(
      kNodes, after.name(),
      fmt::format("is not allowed to modify labels with the prefix {}",
                  kRestricted));
}

bool SameConditions(const CertificateSigningRequest& a,
                    const CertificateSigningRequest& b) {
  const auto& of_a = a.status().conditions();
  const auto& of_b = b.status().conditions();
  return std::equal(of_a.begin(), of_a.end(), of_b.begin(), of_b.end(),
                    [](const auto& one, const auto& other) {
                      return one.SerializeAsString() ==
                             other.SerializeAsString();
                    });
}

}  // namespace

absl::Status AdmitNamespace(std::string_view name_space) {
  if (Contains(kKnownNamespaces, name_space)) return absl::OkStatus();
  return NotFoundError(kNamespaces, name_space);
}

absl::Status AdmitCreate(const User& user, const Resource& resource,
                         const Message& object) {
  if (const auto* csr =
          dynamic_cast<const CertificateSigningRequest*>(&object)) {
    return AdmitCsr(user, *csr);
  }
  if (resource.plural == kNodes.plural) {
    LATCHKEY_RETURN_IF_ERROR(AdmitLabels(user, nullptr, ObjectMetaOf(object)));
  }
  const auto node = NodeOfUser(user);
  const std::string& name = ObjectMetaOf(object).name();
  if (!node || *node == name) return absl::OkStatus();
  if (resource.plural == kNodes.plural) {
    return ForbiddenError(
        resource, name,
        fmt::format("node \"{}\" is not allowed to modify node \"{}\"", *node,
                    name));
  }
  if (resource.plural == kLeases.plural) {
    return ForbiddenError(
        resource, name,
        "can only access node lease with the same name as the requesting node");
  }
  return absl::OkStatus();
}

absl::Status AdmitUpdate(const Authorizer& authorizer, const User& user,
                         std::string_view subresource, const Message& before,
                         const Message& after) {
  if (dynamic_cast<const kubernetes::Node*>(&before) != nullptr) {
    return AdmitLabels(user, &ObjectMetaOf(before), ObjectMetaOf(after));
  }
  const auto* old = dynamic_cast<const CertificateSigningRequest*>(&before);
  if (old == nullptr) return absl::OkStatus();
  if (subresource == "approval") {
    return AskSigner(authorizer, user, "approve", *old);
  }
  const auto& updated = static_cast<const CertificateSigningRequest&>(after);
  if (subresource == "status" &&
      (updated.status().certificate() != old->status().certificate() ||
       !SameConditions(updated, *old))) {
    return AskSigner(authorizer, user, "sign", *old);
  }
  return absl::OkStatus();
}

}  // namespace latchkey
