// Who the bearer of a bootstrap token is: the authenticator that kube-apiserver
// has behind --enable-bootstrap-token-auth.

#ifndef LATCHKEY_DEVCLUSTER_BOOTSTRAP_AUTHENTICATOR_H_
#define LATCHKEY_DEVCLUSTER_BOOTSTRAP_AUTHENTICATOR_H_

#include <string_view>

#include <absl/status/statusor.h>

#include "core/clock.h"
#include "devcluster/object_store.h"
#include "devcluster/user.h"

namespace latchkey {

// Reads the token's Secret anew each time: unlike upstream, which remembers a
// success for ten seconds, a token that is revoked is dead at once.
//
// kUnauthenticated for everything that is not a live token with the right
// secret; nothing says why, or which ids exist.
absl::StatusOr<User> AuthenticateBootstrapToken(const ObjectStore& store,
                                                const Clock& clock,
                                                std::string_view token);

}  // namespace latchkey

#endif  // LATCHKEY_DEVCLUSTER_BOOTSTRAP_AUTHENTICATOR_H_
