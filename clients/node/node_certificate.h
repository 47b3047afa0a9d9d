// What makes a certificate a kubelet's client credential.

#ifndef LATCHKEY_CLIENTS_NODE_NODE_CERTIFICATE_H_
#define LATCHKEY_CLIENTS_NODE_NODE_CERTIFICATE_H_

#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "crypto/certificate.h"

namespace latchkey {

inline constexpr std::string_view kNodesGroup = "system:nodes";

// The user that the Node `node_name` is in Kubernetes.
std::string NodeUserName(std::string_view node_name);

// kFailedPrecondition, saying what does not fit, unless `certificate` is of the
// key with `key_digest`, names the Node `node_name` and the group of nodes and
// nothing else, and may authenticate clients. If it does: kOutOfRange when it
// has expired at `now`, and kUnavailable when it is not valid yet. It may begin
// up to five minutes later than `now`: as much as clocks within a cluster are
// allowed to differ. Who issued it is not checked.
absl::Status CheckNodeCertificate(const Certificate& certificate,
                                  std::string_view key_digest,
                                  std::string_view node_name, absl::Time now);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_NODE_NODE_CERTIFICATE_H_
