// The certificate authority of an embedded cluster.

#ifndef LATCHKEY_DEVCLUSTER_CLUSTER_AUTHORITY_H_
#define LATCHKEY_DEVCLUSTER_CLUSTER_AUTHORITY_H_

#include <string>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "crypto/certificate_authority.h"

namespace latchkey {

// A new one, for ten years from `now`.
absl::StatusOr<CertificateAuthority> CreateClusterAuthority(absl::Time now);

// The one that is kept in the folder `dir` as ca.crt and ca.key, the latter
// 0600; made anew if there is no key. kFailedPrecondition if they do not belong
// together; errors name the file.
absl::StatusOr<CertificateAuthority> KeptClusterAuthority(
    const std::string& dir, absl::Time now);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_CLUSTER_AUTHORITY_H_
