#include "services/authenticator.h"

#include <algorithm>
#include <utility>

#include "core/json.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "core/status_macros.h"
#include "crypto/jws.h"

namespace latchkey {
namespace {

absl::Status Refused(std::string_view message) {
  return Refuse(absl::StatusCode::kUnauthenticated, reason::kUnauthenticated,
                message);
}

bool IsTokenCharacter(char c) {  // RFC 6750, 2.1: b64token
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') ||
         std::string_view("-._~+/=").find(c) != std::string_view::npos;
}

// The token in "Bearer TOKEN" (RFC 9110, 11.1: a scheme has no case).
absl::StatusOr<std::string_view> BearerTokenOf(std::string_view value) {
  constexpr std::string_view kScheme = "bearer ";
  if (value.size() > Authenticator::kMaxAuthorizationBytes) {
    return Refused("the authorization is longer than 8 KiB");
  }
  const bool bearer =
      value.size() > kScheme.size() &&
      std::equal(kScheme.begin(), kScheme.end(), value.begin(),
                 [](char want, char got) {
                   return want == got ||
                          (got >= 'A' && got <= 'Z' && want == got + 32);
                 });
  if (!bearer) return Refused("the authorization is not: Bearer, a token");
  value.remove_prefix(kScheme.size());
  if (!std::all_of(value.begin(), value.end(), IsTokenCharacter)) {
    return Refused("the authorization holds no bearer token");
  }
  return value;
}

}  // namespace

Authenticator::Authenticator(
    std::unique_ptr<ServiceAccountVerifier> service_accounts,
    std::vector<std::unique_ptr<JwtVerifier>> issuers, const Clock& clock)
    : clock_(clock),
      service_accounts_(std::move(service_accounts)),
      tokens_(clock) {
  for (std::unique_ptr<JwtVerifier>& issuer : issuers) {
    std::string name = issuer->issuer();
    by_issuer_.emplace(std::move(name), std::move(issuer));
  }
}

std::optional<absl::StatusOr<TimedIdentity>> Authenticator::Known(
    const CallCredentials& credentials) {
  if (credentials.authorization.has_value()) {
    const auto token = BearerTokenOf(credentials.authorization->Reveal());
    if (!token.ok()) return token.status();
    return tokens_.Known(*token);
  }
  if (credentials.certificate_pem.has_value()) {
    return OfCertificate(*credentials.certificate_pem);
  }
  return Refused(
      "nobody: a client certificate or a bearer token that is accepted here is "
      "required");
}

absl::StatusOr<TimedIdentity> Authenticator::OfCertificate(
    const std::string& pem) {
  absl::StatusOr<TimedIdentity> caller = certificates_.IdentityOf(pem);
  if (caller.ok() && clock_.Now() >= caller->expires) {
    return Refused("the client certificate has expired since it was shown");
  }
  return caller;
}

absl::StatusOr<TimedIdentity> Authenticator::Authenticate(
    const CallCredentials& credentials) {
  if (auto known = Known(credentials)) return *std::move(known);
  LATCHKEY_ASSIGN_OR_RETURN(const std::string_view token,
                            BearerTokenOf(credentials.authorization->Reveal()));
  return tokens_.IdentityOf(token, [&] { return Verify(token); });
}

absl::StatusOr<TimedIdentity> Authenticator::Verify(std::string_view token) {
  const auto jws = Jws::Parse(token);
  if (!jws.ok()) return Refused(std::string(jws.status().message()));
  const auto claims = ParseJsonObject(jws->payload, Jws::kMaxBytes);
  if (!claims.ok()) return Refused("the bearer token has no claims");
  const std::string* issuer = FindString(*claims, "iss");
  const auto verifier =
      issuer == nullptr ? by_issuer_.end() : by_issuer_.find(*issuer);
  if (verifier != by_issuer_.end()) {
    return verifier->second->Verify(*jws, *claims);
  }
  if (service_accounts_ != nullptr) {
    return service_accounts_->Verify(token, *claims);
  }
  return Refused("bearer tokens of this issuer are not accepted here");
}

}  // namespace latchkey
