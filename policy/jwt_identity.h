// Who a JWT (RFC 7519, RFC 8725) says that its bearer is.

#ifndef LATCHKEY_POLICY_JWT_IDENTITY_H_
#define LATCHKEY_POLICY_JWT_IDENTITY_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "core/json.h"
#include "crypto/jws.h"
#include "policy/identity.h"

namespace latchkey {

// Where in the claims a value is: names of members, from the outside in.
using ClaimPath = std::vector<std::string>;

// "compute.instance_name", or, where a name has a dot in it, a JSON pointer
// (RFC 6901) such as "/kubernetes.io/namespace". kInvalidArgument if a name in
// it is empty.
absl::StatusOr<ClaimPath> ParseClaimPath(std::string_view text);

// What an attribute that claims are mapped to may be called: [a-z][a-z0-9_]*,
// at most 63 characters, and none of the names in `attribute`, whose meaning a
// token must not change. kInvalidArgument says which.
absl::Status ValidateMappedAttribute(std::string_view name);

// What is asked of the tokens of one issuer.
struct JwtRules {
  // In the identity's name: [a-z0-9-]. Stays the same if the URL changes.
  std::string name;
  // "iss", byte for byte.
  std::string issuer;
  // Must be one of "aud".
  std::string audience;
  // Attribute by claim. A claim that is neither a string nor a list of strings
  // gives no attribute, and neither does a value that is not usable.
  std::map<std::string, ClaimPath> attributes;
  // Older tokens are refused, and those that do not say when they were made.
  std::optional<absl::Duration> max_age;
};

// How much clocks may differ where a token says "not before" or "made at". When
// it expires is meant as it is.
inline constexpr absl::Duration kJwtLeeway = absl::Seconds(60);

// The identity in `claims` of the token `jws`, whose signature was verified
// with a key of the issuer. kUnauthenticated (UNAUTHENTICATED) if the claims
// are not for us, not valid at `now`, name no usable subject, or are of another
// type of token ("typ"; RFC 8725, 3.11) than JWT or at+jwt.
absl::StatusOr<TimedIdentity> IdentityFromJwt(const JwtRules& rules,
                                              const Jws& jws,
                                              const JsonFields& claims,
                                              absl::Time now);

// "aud" is `audience`, or a list of strings with it.
bool IsForAudience(const JsonFields& claims, std::string_view audience);

// "exp"; none if it is absent or no time.
std::optional<absl::Time> ExpirationOf(const JsonFields& claims);

}  // namespace latchkey

#endif  // LATCHKEY_POLICY_JWT_IDENTITY_H_
