// The checks that have to make something to look at, and take it away again:
// for `latchkeyctl doctor --active`.

#ifndef LATCHKEY_CLIENTS_DOCTOR_ACTIVE_PROBES_H_
#define LATCHKEY_CLIENTS_DOCTOR_ACTIVE_PROBES_H_

#include <functional>
#include <memory>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/doctor/finding.h"
#include "clients/kubernetes/kubernetes_client.h"
#include "core/secret_string.h"

namespace latchkey {

// Waits so long; false if the program is to end, at once if need be. What a
// probe made is removed all the same.
using Pause = std::function<bool(absl::Duration)>;

// A client of the same API server with this bearer token and nothing else.
using BearerLogin =
    std::function<absl::StatusOr<std::unique_ptr<KubernetesClient>>(
        const SecretString& token)>;

// "bootstrap-authentication": makes a bootstrap token of two minutes that may
// nothing, and asks the API server who it is, again for 15 s while it does not
// know it: each API server sees a new Secret a moment later. `now` is the
// server's time.
//
// If the Secret could not be removed, a second finding says how:
// "left-behind". Killed, the program leaves it behind; it expires by itself.
Findings ProbeBootstrapAuthentication(KubernetesClient& client,
                                      const BearerLogin& login,
                                      const Pause& pause, absl::Time now);

// "signer": makes a CSR for a Node that does not exist, approves it, and waits
// for up to 30 s for its certificate. The certificate, for ten minutes, is
// forgotten with the key. Leaves nothing behind, as above.
Findings ProbeSigner(KubernetesClient& client, const Pause& pause,
                     absl::Time now);

}  // namespace latchkey

#endif  // LATCHKEY_CLIENTS_DOCTOR_ACTIVE_PROBES_H_
