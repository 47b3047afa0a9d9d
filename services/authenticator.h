// Who calls: what a call brought along, turned into an identity.

#ifndef LATCHKEY_SERVICES_AUTHENTICATOR_H_
#define LATCHKEY_SERVICES_AUTHENTICATOR_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "core/clock.h"
#include "core/secret_string.h"
#include "policy/identity.h"
#include "services/bearer_cache.h"
#include "services/jwt_verifier.h"
#include "services/service_account_verifier.h"

namespace latchkey {

// What a call brought along, as it came.
struct CallCredentials {
  // The client certificate in PEM, which TLS has verified.
  std::optional<std::string> certificate_pem;
  // The value of the metadata "authorization".
  std::optional<SecretString> authorization;
};

// A bearer token, if one came, decides: a bad one is refused, whatever
// certificate came with it. Else the certificate decides, until it expires: a
// connection may outlive it. Who brings neither is refused. An answer is to be
// believed as long as it says, and then asked for again.
//
// Whose token it is, its issuer ("iss") says: a token of a configured issuer is
// for that issuer's keys alone, any other for the API server.
//
// Safe for concurrent use.
class Authenticator {
 public:
  // Longer values of the metadata are refused unread.
  static constexpr size_t kMaxAuthorizationBytes = Jws::kMaxBytes;

  // No ServiceAccounts: null. Each issuer once. `clock` must outlive this.
  Authenticator(std::unique_ptr<ServiceAccountVerifier> service_accounts,
                std::vector<std::unique_ptr<JwtVerifier>> issuers,
                const Clock& clock);

  // The answer, if there is one without asking or waiting for anybody: for
  // certificates, for what is no bearer token, and for tokens that were seen
  // shortly before (BearerCache). None otherwise: ask Authenticate().
  std::optional<absl::StatusOr<TimedIdentity>> Known(
      const CallCredentials& credentials);

  // The answer. May wait for the API server or for an issuer's keys, for as
  // long as one request to them may take.
  //
  // kUnauthenticated (UNAUTHENTICATED) for credentials that are refused: the
  // message, for the operator, is one of a few fixed texts;
  // kUnavailable (ISSUER_UNAVAILABLE) if the keys of the token's issuer were
  // never to be had; and what the API server answered to a TokenReview that it
  // did not do.
  absl::StatusOr<TimedIdentity> Authenticate(
      const CallCredentials& credentials);

 private:
  absl::StatusOr<TimedIdentity> OfCertificate(const std::string& pem);
  absl::StatusOr<TimedIdentity> Verify(std::string_view token);

  const Clock& clock_;
  const std::unique_ptr<ServiceAccountVerifier> service_accounts_;
  std::map<std::string, std::unique_ptr<JwtVerifier>, std::less<>> by_issuer_;
  IdentityCache certificates_;
  BearerCache tokens_;
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_AUTHENTICATOR_H_
