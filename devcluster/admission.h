// What a request that its sender may make, and that is well formed, may still
// not do: the admission plugins of kube-apiserver that joining meets
// (NamespaceLifecycle, NodeRestriction, CertificateApproval,
// CertificateSigning, CertificateSubjectRestriction).

#ifndef LATCHKEY_DEVCLUSTER_ADMISSION_H_
#define LATCHKEY_DEVCLUSTER_ADMISSION_H_

#include <string_view>

#include <absl/status/status.h>
#include <google/protobuf/message.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "devcluster/authorizer.h"
#include "devcluster/user.h"

namespace latchkey {

// kNotFound if there is no such namespace. There are the four that every
// cluster begins with, and no others.
absl::Status AdmitNamespace(std::string_view name_space);

// kPermissionDenied (403), all of them.
absl::Status AdmitCreate(const User& user, const Resource& resource,
                         const google::protobuf::Message& object);
absl::Status AdmitUpdate(const Authorizer& authorizer, const User& user,
                         std::string_view subresource,
                         const google::protobuf::Message& before,
                         const google::protobuf::Message& after);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_ADMISSION_H_
