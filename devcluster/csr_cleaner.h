// Which CertificateSigningRequests nobody needs any more.

#ifndef LATCHKEY_DEVCLUSTER_CSR_CLEANER_H_
#define LATCHKEY_DEVCLUSTER_CSR_CLEANER_H_

#include <absl/time/time.h>

#include "kubernetes/certificates.pb.h"

namespace latchkey {

// How often Kubernetes looks.
inline constexpr absl::Duration kCsrCleaningInterval = absl::Hours(1);

// True an hour after a request was issued, denied or failed, a day after it
// was made or approved and nothing followed, and once its certificate has
// expired.
bool IsOutdated(const kubernetes::CertificateSigningRequest& csr,
                absl::Time now);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_CSR_CLEANER_H_
