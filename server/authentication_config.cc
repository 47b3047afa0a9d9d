#include "server/authentication_config.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <fmt/format.h>

#include "clients/files/read_file.h"
#include "clients/http/curl_http_client.h"
#include "core/status_macros.h"
#include "crypto/certificate.h"
#include "services/jwks_source.h"

namespace latchkey {
namespace {

constexpr std::string_view kHttps = "https://";

// It is part of identities' names: "jwt:NAME:SUBJECT".
bool IsIssuerName(std::string_view name) {
  constexpr size_t kMaxLength = 63;
  return !name.empty() && name.size() <= kMaxLength &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

// https://SERVER/PATH: where the path begins; npos if it is no such URL.
size_t PathInUrl(std::string_view url) {
  if (!url.starts_with(kHttps) || !IsAttributeValue(url) ||
      url.find_first_of("#@\\") != std::string_view::npos) {
    return std::string_view::npos;
  }
  const size_t path = url.find('/', kHttps.size());
  return path == kHttps.size() ? std::string_view::npos : path;
}

// A value that tokens are compared with.
std::string ReadUsable(const ConfigReader& section, std::string_view field) {
  std::string value = section.RequiredString(field);
  if (!value.empty() && !IsAttributeValue(value)) {
    section.Mistake(field, "must be printable ASCII without spaces");
  }
  return value;
}

void ReadKeys(const ConfigReader& section, JwtIssuerConfig& issuer) {
  issuer.jwks_file = section.String("jwks_file", "");
  issuer.jwks_url = section.String("jwks_url", "");
  issuer.ca_file = section.String("ca_file", "");
  issuer.refresh = section.Duration("refresh", issuer.refresh, absl::Minutes(1),
                                    absl::Hours(24));
  if (issuer.jwks_file.empty() == issuer.jwks_url.empty()) {
    section.Mistake("", "needs either jwks_file or jwks_url");
  }
  if (!issuer.jwks_url.empty() &&
      PathInUrl(issuer.jwks_url) == std::string_view::npos) {
    section.Mistake("jwks_url",
                    "not an https URL such as https://ci.example/keys");
  }
  if (issuer.jwks_url.empty()) {
    for (const char* field : {"ca_file", "refresh"}) {
      if (section.Has(field)) {
        section.Mistake(field,
                        "is for jwks_url; a file is read again when it "
                        "changes");
      }
    }
  }
}

JwtIssuerConfig ReadIssuer(const ConfigReader& section) {
  JwtIssuerConfig issuer;
  JwtRules& rules = issuer.rules;
  rules.name = section.RequiredString("name");
  if (!rules.name.empty() && !IsIssuerName(rules.name)) {
    section.Mistake("name", "must match [a-z0-9-]{1,63}");
  }
  rules.issuer = ReadUsable(section, "issuer");
  rules.audience = ReadUsable(section, "audience");
  if (section.Has("max_age")) {
    rules.max_age = section.Duration("max_age", absl::Hours(1),
                                     absl::Minutes(1), absl::Hours(24 * 366));
  }
  const ConfigReader attributes = section.Section("attributes");
  for (const std::string& name : attributes.Fields()) {
    attributes.Check(name, ValidateMappedAttribute(name));
    absl::StatusOr<ClaimPath> path =
        ParseClaimPath(attributes.String(name, ""));
    attributes.Check(name, path.status());
    if (path.ok()) rules.attributes.emplace(name, *std::move(path));
  }
  ReadKeys(section, issuer);
  return issuer;
}

absl::StatusOr<std::unique_ptr<JwksSource>> OpenUrl(
    const JwtIssuerConfig& issuer, const Clock& clock) {
  CurlHttpClientOptions options;
  const size_t path =
      std::min(PathInUrl(issuer.jwks_url), issuer.jwks_url.size());
  options.base_url = issuer.jwks_url.substr(0, path);
  options.max_connections = 1;
  if (!issuer.ca_file.empty()) {
    LATCHKEY_ASSIGN_OR_RETURN(
        options.ca_pem,
        ReadFileBounded(issuer.ca_file, Certificate::kMaxPemBytes));
    LATCHKEY_RETURN_IF_ERROR(Certificate::ParseAll(options.ca_pem).status());
  }
  LATCHKEY_ASSIGN_OR_RETURN(auto http,
                            CurlHttpClient::Create(std::move(options)));
  return JwksSource::OfUrl(issuer.jwks_url, std::move(http),
                           issuer.jwks_url.substr(path), issuer.refresh, clock);
}

}  // namespace

std::set<std::string, std::less<>> AuthenticationConfig::MappedAttributes()
    const {
  std::set<std::string, std::less<>> names;
  for (const JwtIssuerConfig& issuer : jwt) {
    for (const auto& [name, path] : issuer.rules.attributes) names.insert(name);
  }
  return names;
}

std::map<std::string, std::string, std::less<>>
AuthenticationConfig::JwtIssuers() const {
  std::map<std::string, std::string, std::less<>> names;
  for (const JwtIssuerConfig& issuer : jwt) {
    names.emplace(issuer.rules.issuer, issuer.rules.name);
  }
  return names;
}

AuthenticationConfig ReadAuthentication(const ConfigReader& section) {
  AuthenticationConfig config;
  if (section.Has("service_accounts")) {
    config.service_account_audience =
        ReadUsable(section.Section("service_accounts"), "audience");
  }
  std::set<std::string> names;
  std::set<std::string> urls;
  for (const ConfigReader& item : section.Sections("jwt")) {
    config.jwt.push_back(ReadIssuer(item));
    const JwtRules& rules = config.jwt.back().rules;
    if (!names.insert(rules.name).second) {
      item.Mistake("name", "another issuer has this name");
    }
    if (!urls.insert(rules.issuer).second) {
      item.Mistake("issuer", "stands twice: which keys are its own?");
    }
  }
  return config;
}

std::unique_ptr<ServiceAccountVerifier> MakeServiceAccountVerifier(
    const AuthenticationConfig& config, KubernetesClient& client,
    const Clock& clock) {
  if (config.service_account_audience.empty()) return nullptr;
  return std::make_unique<ServiceAccountVerifier>(
      config.service_account_audience, client, clock);
}

absl::StatusOr<std::vector<std::unique_ptr<JwtVerifier>>> MakeJwtVerifiers(
    const AuthenticationConfig& config, const Clock& clock) {
  std::vector<std::unique_ptr<JwtVerifier>> verifiers;
  for (const JwtIssuerConfig& issuer : config.jwt) {
    absl::StatusOr<std::unique_ptr<JwksSource>> keys =
        issuer.jwks_url.empty() ? JwksSource::OfFile(issuer.jwks_file, clock)
                                : OpenUrl(issuer, clock);
    if (!keys.ok()) {
      return absl::InvalidArgumentError(
          fmt::format("authentication.jwt, {}: {}", issuer.rules.name,
                      std::string(keys.status().message())));
    }
    verifiers.push_back(
        std::make_unique<JwtVerifier>(issuer.rules, *std::move(keys), clock));
  }
  return verifiers;
}

}  // namespace latchkey
