#include "services/jwt_verifier.h"

#include "core/reasons.h"
#include "core/refusal.h"
#include "core/status_macros.h"

namespace latchkey {

absl::StatusOr<TimedIdentity> JwtVerifier::Verify(const Jws& token,
                                                  const JsonFields& claims) {
  LATCHKEY_ASSIGN_OR_RETURN(const Jwk key, keys_->Find(token));
  if (!key.Verifies(token.signing_input, token.signature)) {
    return Refuse(absl::StatusCode::kUnauthenticated, reason::kUnauthenticated,
                  "the bearer token is not signed by its issuer");
  }
  return IdentityFromJwt(rules_, token, claims, clock_.Now());
}

}  // namespace latchkey
