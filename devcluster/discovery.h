// What tells clients about the API: discovery, the version, and as much OpenAPI
// as kubectl needs to leave the checking of fields to the server.

#ifndef LATCHKEY_DEVCLUSTER_DISCOVERY_H_
#define LATCHKEY_DEVCLUSTER_DISCOVERY_H_

#include <optional>
#include <string>
#include <string_view>

namespace latchkey {

// The JSON document at `path`, e.g. "/apis/certificates.k8s.io/v1"; nullopt if
// there is none.
std::optional<std::string> DiscoveryDocument(std::string_view path);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_DISCOVERY_H_
