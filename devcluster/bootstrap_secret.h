// What a bootstrap-token Secret says, read as Kubernetes reads it.

#ifndef LATCHKEY_DEVCLUSTER_BOOTSTRAP_SECRET_H_
#define LATCHKEY_DEVCLUSTER_BOOTSTRAP_SECRET_H_

#include <string_view>

#include <absl/time/time.h>

#include "kubernetes/core.pb.h"

namespace latchkey {

// Of that key of its data; empty if there is none. A view into the Secret.
std::string_view BootstrapValueOf(const kubernetes::Secret& secret,
                                  const char* key);

// When the token of this Secret expires: at that instant it has. The infinite
// future without an expiration; the infinite past if that is no time.
absl::Time TokenExpirationOf(const kubernetes::Secret& secret);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_BOOTSTRAP_SECRET_H_
