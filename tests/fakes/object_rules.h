// What an API server does to objects of certain kinds when they are written.

#ifndef LATCHKEY_TESTS_FAKES_OBJECT_RULES_H_
#define LATCHKEY_TESTS_FAKES_OBJECT_RULES_H_

#include <memory>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <google/protobuf/message.h>

#include "clients/kubernetes/kubernetes_client.h"

namespace latchkey_testing {

// The errors of creating `object` under `name`, whoever asks.
absl::Status CheckNewObject(const latchkey::Resource& resource,
                            const latchkey::ObjectName& name,
                            const google::protobuf::Message& object);

// Fills in defaults and takes out what a creator may not set.
void PrepareNewObject(google::protobuf::Message& object);

// What `before` becomes when `sent` is put in its place, or in place of the
// subresource. kInvalidArgument if a field may not change, kNotFound for a
// subresource that does not exist.
absl::StatusOr<std::unique_ptr<google::protobuf::Message>> UpdatedObject(
    const google::protobuf::Message& before,
    const google::protobuf::Message& sent, std::string_view subresource);

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_FAKES_OBJECT_RULES_H_
