// The resources that the embedded control plane serves: what there is to know
// of each without an object in hand.

#ifndef LATCHKEY_DEVCLUSTER_API_RESOURCES_H_
#define LATCHKEY_DEVCLUSTER_API_RESOURCES_H_

#include <memory>
#include <span>
#include <string_view>

#include <google/protobuf/message.h>

#include "clients/kubernetes/resource.h"

namespace latchkey {

struct ApiResource {
  Resource resource;
  std::string_view singular;
  std::string_view short_name;  // of kubectl; may be empty
  // Kept in the store. What is not is answered and forgotten: reviews, events.
  bool stored = true;
  std::span<const std::string_view> subresources = {};
  // An empty message of its type, and of the type of its lists (null: it cannot
  // be listed).
  const google::protobuf::Message* prototype = nullptr;
  const google::protobuf::Message* list_prototype = nullptr;
};

std::span<const ApiResource> ApiResources();

// Null if there is none. In no group twice: the plural alone tells them apart.
const ApiResource* FindApiResource(std::string_view plural);
const ApiResource* FindApiResource(std::string_view api_version,
                                   std::string_view plural);

// "" for the core group "v1", else what stands before the '/'.
std::string_view ApiGroupOf(const Resource& resource);

// A copy of `object` as a message of the resource, whatever its own type.
std::unique_ptr<google::protobuf::Message> CopyAs(
    const ApiResource& resource, const google::protobuf::Message& object);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_API_RESOURCES_H_
