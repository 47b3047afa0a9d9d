// Tokens of ServiceAccounts, as the API server judges them (TokenReview).

#ifndef LATCHKEY_SERVICES_SERVICE_ACCOUNT_VERIFIER_H_
#define LATCHKEY_SERVICES_SERVICE_ACCOUNT_VERIFIER_H_

#include <string>
#include <string_view>
#include <utility>

#include <absl/status/statusor.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "core/clock.h"
#include "core/json.h"
#include "policy/identity.h"

namespace latchkey {

// Safe for concurrent use.
class ServiceAccountVerifier {
 public:
  // Tokens must be for `audience`. `client`, which may create TokenReviews, and
  // `clock` must outlive this.
  ServiceAccountVerifier(std::string audience, KubernetesClient& client,
                         const Clock& clock)
      : audience_(std::move(audience)), client_(client), clock_(clock) {}

  // Asks the API server about `token`, whose claims, not verified, are
  // `claims`. What they say can only refuse it: a token that is over, never
  // ends or is for another audience is not even asked about.
  //
  // kUnauthenticated (UNAUTHENTICATED) if the API server does not know the
  // token, does not say that it is for our audience, which a server that knows
  // no audiences would not, or says that it is not of a ServiceAccount. Any
  // other error: it could not be asked.
  absl::StatusOr<TimedIdentity> Verify(std::string_view token,
                                       const JsonFields& claims);

 private:
  const std::string audience_;
  KubernetesClient& client_;
  const Clock& clock_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_SERVICE_ACCOUNT_VERIFIER_H_
