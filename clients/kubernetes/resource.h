// Which resource of the Kubernetes API a message type stands for.

#ifndef LATCHKEY_CLIENTS_KUBERNETES_RESOURCE_H_
#define LATCHKEY_CLIENTS_KUBERNETES_RESOURCE_H_

#include <string_view>

#include "kubernetes/authentication.pb.h"
#include "kubernetes/authorization.pb.h"
#include "kubernetes/certificates.pb.h"
#include "kubernetes/coordination.pb.h"
#include "kubernetes/core.pb.h"
#include "kubernetes/meta.pb.h"
#include "kubernetes/rbac.pb.h"

namespace latchkey {

struct Resource {
  // "v1" for the core group, else group/version.
  std::string_view api_version;
  std::string_view kind;
  // As in the path, e.g. "secrets".
  std::string_view plural;
  bool namespaced;
};

inline constexpr Resource kSecrets = {"v1", "Secret", "secrets", true};
inline constexpr Resource kConfigMaps = {"v1", "ConfigMap", "configmaps", true};
inline constexpr Resource kNodes = {"v1", "Node", "nodes", false};
inline constexpr Resource kCertificateSigningRequests = {
    "certificates.k8s.io/v1", "CertificateSigningRequest",
    "certificatesigningrequests", false};
inline constexpr Resource kLeases = {"coordination.k8s.io/v1", "Lease",
                                     "leases", true};
inline constexpr Resource kEvents = {"v1", "Event", "events", true};
inline constexpr Resource kClusterRoles = {
    "rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", false};
inline constexpr Resource kClusterRoleBindings = {
    "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings",
    false};
// Reviews know the one verb create.
inline constexpr Resource kTokenReviews = {
    "authentication.k8s.io/v1", "TokenReview", "tokenreviews", false};
inline constexpr Resource kSelfSubjectReviews = {"authentication.k8s.io/v1",
                                                 "SelfSubjectReview",
                                                 "selfsubjectreviews", false};
inline constexpr Resource kSubjectAccessReviews = {
    "authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews",
    false};
inline constexpr Resource kSelfSubjectAccessReviews = {
    "authorization.k8s.io/v1", "SelfSubjectAccessReview",
    "selfsubjectaccessreviews", false};

// Specialised below for each message type, and for its list type.
template <typename Object>
constexpr const Resource& ResourceOf();

template <>
constexpr const Resource& ResourceOf<kubernetes::Secret>() {
  return kSecrets;
}
template <>
constexpr const Resource& ResourceOf<kubernetes::SecretList>() {
  return kSecrets;
}
template <>
constexpr const Resource& ResourceOf<kubernetes::ConfigMap>() {
  return kConfigMaps;
}
template <>
constexpr const Resource& ResourceOf<kubernetes::ConfigMapList>() {
  return kConfigMaps;
}
template <>
constexpr const Resource& ResourceOf<kubernetes::Node>() {
  return kNodes;
}
template <>
constexpr const Resource& ResourceOf<kubernetes::NodeList>() {
  return kNodes;
}
template <>
constexpr const Resource& ResourceOf<kubernetes::CertificateSigningRequest>() {
  return kCertificateSigningRequests;
}
template <>
constexpr const Resource&
ResourceOf<kubernetes::CertificateSigningRequestList>() {
  return kCertificateSigningRequests;
}
template <>
constexpr const Resource& ResourceOf<kubernetes::Lease>() {
  return kLeases;
}
template <>
constexpr const Resource& ResourceOf<kubernetes::LeaseList>() {
  return kLeases;
}
template <>
constexpr const Resource& ResourceOf<kubernetes::Event>() {
  return kEvents;
}
template <>
constexpr const Resource& ResourceOf<kubernetes::ClusterRole>() {
  return kClusterRoles;
}
template <>
constexpr const Resource& ResourceOf<kubernetes::ClusterRoleList>() {
  return kClusterRoles;
}
template <>
constexpr const Resource& ResourceOf<kubernetes::ClusterRoleBinding>() {
  return kClusterRoleBindings;
}
template <>
constexpr const Resource& ResourceOf<kubernetes::ClusterRoleBindingList>() {
  return kClusterRoleBindings;
}
template <>
constexpr const Resource& ResourceOf<kubernetes::TokenReview>() {
  return kTokenReviews;
}
template <>
constexpr const Resource& ResourceOf<kubernetes::SelfSubjectReview>() {
  return kSelfSubjectReviews;
}
template <>
constexpr const Resource& ResourceOf<kubernetes::SubjectAccessReview>() {
  return kSubjectAccessReviews;
}
template <>
constexpr const Resource& ResourceOf<kubernetes::SelfSubjectAccessReview>() {
  return kSelfSubjectAccessReviews;
}

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_KUBERNETES_RESOURCE_H_
