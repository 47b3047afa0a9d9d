// What the API server does to objects when they are written: defaults, the
// fields that are its own, and validation, as the strategies of kube-apiserver
// have it (k8s.io/kubernetes pkg/registry).

#ifndef LATCHKEY_DEVCLUSTER_OBJECT_RULES_H_
#define LATCHKEY_DEVCLUSTER_OBJECT_RULES_H_

#include <memory>
#include <string_view>

#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <google/protobuf/message.h>

#include "devcluster/api_error.h"
#include "devcluster/user.h"

namespace latchkey {

// Fills in defaults and takes out what a creator may not set. The identity of a
// CSR's creator becomes `user`.
void PrepareNewObject(const User& user, google::protobuf::Message& object);
FieldErrors CheckNewObject(const Resource& resource,
                           const google::protobuf::Message& object);

// What `before` becomes when `sent` is put in its place, or in place of
// `subresource`, which the resource has. What belongs to the server stays.
std::unique_ptr<google::protobuf::Message> UpdatedObject(
    const google::protobuf::Message& before,
    const google::protobuf::Message& sent, std::string_view subresource,
    absl::Time now);
// `after` is UpdatedObject's.
FieldErrors CheckUpdate(const Resource& resource,
                        const google::protobuf::Message& before,
                        const google::protobuf::Message& after,
                        std::string_view subresource);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_OBJECT_RULES_H_
