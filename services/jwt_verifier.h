// JWTs of one issuer.

#ifndef LATCHKEY_SERVICES_JWT_VERIFIER_H_
#define LATCHKEY_SERVICES_JWT_VERIFIER_H_

#include <memory>
#include <string>
#include <utility>

#include <absl/status/statusor.h>

#include "core/clock.h"
#include "core/json.h"
#include "crypto/jws.h"
#include "policy/jwt_identity.h"
#include "services/jwks_source.h"

namespace latchkey {

// Safe for concurrent use.
class JwtVerifier {
 public:
  // `clock` must outlive this.
  JwtVerifier(JwtRules rules, std::unique_ptr<JwksSource> keys,
              const Clock& clock)
      : rules_(std::move(rules)), keys_(std::move(keys)), clock_(clock) {}

  const std::string& issuer() const { return rules_.issuer; }

  // The identity that `claims`, the payload of `token`, say, once the signature
  // is verified with a key of the issuer. May wait for that key; errors are
  // JwksSource::Find's and IdentityFromJwt's.
  absl::StatusOr<TimedIdentity> Verify(const Jws& token,
                                       const JsonFields& claims);

 private:
  const JwtRules rules_;
  const std::unique_ptr<JwksSource> keys_;
  const Clock& clock_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_JWT_VERIFIER_H_
