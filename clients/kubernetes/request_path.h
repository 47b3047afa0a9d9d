// Paths and queries of the Kubernetes API.

#ifndef LATCHKEY_CLIENTS_KUBERNETES_REQUEST_PATH_H_
#define LATCHKEY_CLIENTS_KUBERNETES_REQUEST_PATH_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include "clients/kubernetes/kubernetes_client.h"

namespace latchkey {

// All but the unreserved characters of RFC 3986, 2.3, as %XX.
std::string PercentEncode(std::string_view text);

// The path of all objects of `resource`, of one namespace unless it is empty.
// kInvalidArgument for a namespace that is no single path segment, or for one
// of a resource that has none.
absl::StatusOr<std::string> CollectionPath(const Resource& resource,
                                           std::string_view name_space);

// The path of one object, or of a subresource of it unless that is empty.
// kInvalidArgument if a part would change the path's meaning: empty, holding
// '/', '%' or "..", or a control character.
absl::StatusOr<std::string> ObjectPath(const Resource& resource,
                                       const ObjectName& name,
                                       std::string_view subresource);

// Whether the two above would answer with a path.
absl::Status CheckCollectionPath(const Resource& resource,
                                 std::string_view name_space);
absl::Status CheckObjectPath(const Resource& resource, const ObjectName& name,
                             std::string_view subresource);

// "?a=1&b=2" of the pairs whose values are not empty; empty if none is left.
std::string QueryString(
    const std::vector<std::pair<std::string_view, std::string>>& pairs);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_KUBERNETES_REQUEST_PATH_H_
