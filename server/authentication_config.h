// Section authentication of broker.yaml: who may call beside the holders of
// client certificates.

#ifndef LATCHKEY_SERVER_AUTHENTICATION_CONFIG_H_
#define LATCHKEY_SERVER_AUTHENTICATION_CONFIG_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "clients/kubernetes/kubernetes_client.h"
#include "core/clock.h"
#include "core/config_reader.h"
#include "policy/jwt_identity.h"
#include "services/jwt_verifier.h"
#include "services/service_account_verifier.h"

namespace latchkey {

struct JwtIssuerConfig {
  JwtRules rules;
  // One of the two.
  std::string jwks_file;
  std::string jwks_url;
  // Of a URL: the authorities of its server, in PEM. Default: the system's.
  std::string ca_file;
  absl::Duration refresh = absl::Minutes(10);
};

struct AuthenticationConfig {
  // Empty: tokens of ServiceAccounts are not accepted.
  std::string service_account_audience;
  std::vector<JwtIssuerConfig> jwt;

  bool TakesBearerTokens() const {
    return !service_account_audience.empty() || !jwt.empty();
  }
  // The names that claims are mapped to, of every issuer.
  std::set<std::string, std::less<>> MappedAttributes() const;
  // The names of the issuers by their URLs.
  std::map<std::string, std::string, std::less<>> JwtIssuers() const;
};

// Mistakes are noted with the document.
AuthenticationConfig ReadAuthentication(const ConfigReader& section);

// Null if tokens of ServiceAccounts are not accepted. `client` and `clock` must
// outlive it.
std::unique_ptr<ServiceAccountVerifier> MakeServiceAccountVerifier(
    const AuthenticationConfig& config, KubernetesClient& client,
    const Clock& clock);

// Reads the files that `config` names, and asks nobody. kInvalidArgument, with
// the issuer's name, for a file or URL that cannot be used. `clock` must
// outlive them.
absl::StatusOr<std::vector<std::unique_ptr<JwtVerifier>>> MakeJwtVerifiers(
    const AuthenticationConfig& config, const Clock& clock);

}  // namespace latchkey

#endif  // LATCHKEY_SERVER_AUTHENTICATION_CONFIG_H_
