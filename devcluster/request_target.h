// The target of a request (RFC 9112, 3.2.1), taken apart.

#ifndef LATCHKEY_DEVCLUSTER_REQUEST_TARGET_H_
#define LATCHKEY_DEVCLUSTER_REQUEST_TARGET_H_

#include <map>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "devcluster/api_resources.h"

namespace latchkey {

struct RequestTarget {
  // Decoded, without the query.
  std::string path;
  // What the path stands for; null if it is none of the resources. A name of a
  // resource is empty in the path of all its objects.
  const ApiResource* resource = nullptr;
  ObjectName name;
  std::string subresource;
  // The first value of each parameter, decoded; whoever reads it picks what it
  // knows.
  std::map<std::string, std::string, std::less<>> query;

  // Empty if the parameter is not there.
  std::string_view Parameter(std::string_view key) const;
  // As Kubernetes reads them: true if it is there and neither "false" nor "0".
  bool Flag(std::string_view key) const;
};

// kInvalidArgument, without repeating it, if it does not begin with '/', or
// holds a broken percent-encoding or, decoded, a control character. A '/' that
// is percent-encoded does not divide the path, and is in no path of ours.
absl::StatusOr<RequestTarget> ParseRequestTarget(std::string_view target);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_REQUEST_TARGET_H_
