#include "policy/jwt_identity.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

using ::google::protobuf::Value;

constexpr std::array<std::string_view, 8> kReserved = {
    attribute::kSpiffeId,       attribute::kDnsName,   attribute::kCommonName,
    attribute::kServiceAccount, attribute::kNamespace, attribute::kGroup,
    attribute::kIssuer,         attribute::kSubject};

absl::Status Refused(std::string_view message) {
  return Refuse(absl::StatusCode::kUnauthenticated, reason::kUnauthenticated,
                message);
}

// RFC 6901, 4: ~1 is a slash, ~0 a tilde.
std::string Unescaped(std::string_view name) {
  std::string text;
  for (size_t i = 0; i < name.size(); ++i) {
    const bool escape = name[i] == '~' && i + 1 < name.size() &&
                        (name[i + 1] == '0' || name[i + 1] == '1');
    text += !escape ? name[i] : name[i + 1] == '1' ? '/' : '~';
    if (escape) ++i;
  }
  return text;
}

bool EqualsIgnoringCase(std::string_view a, std::string_view lower) {
  return std::equal(a.begin(), a.end(), lower.begin(), lower.end(),
                    [](char x, char y) {
                      return x == y || (x >= 'A' && x <= 'Z' && x + 32 == y);
                    });
}

// RFC 8725, 3.11: a token that was made for something else says so.
bool IsCallersType(const std::optional<std::string>& type) {
  if (!type.has_value()) return true;
  std::string_view name = *type;
  constexpr std::string_view kPrefix = "application/";
  if (EqualsIgnoringCase(name.substr(0, kPrefix.size()), kPrefix)) {
    name.remove_prefix(kPrefix.size());
  }
  return EqualsIgnoringCase(name, "jwt") || EqualsIgnoringCase(name, "at+jwt");
}

// A NumericDate (RFC 7519, 2): none if it is absent; refused if it is no time
// between 1970 and 9999.
absl::StatusOr<std::optional<absl::Time>> TimeOf(const JsonFields& claims,
                                                 std::string_view name) {
  constexpr double kYear10000 = 253'402'300'800;
  const Value* value = FindMember(claims, name);
  if (value == nullptr) return std::nullopt;
  const double seconds = value->number_value();
  if (!value->has_number_value() || !(seconds >= 0) || seconds >= kYear10000) {
    return Refused("the bearer token has a time that is none");
  }
  return absl::UnixEpoch() + absl::Seconds(seconds);
}

// When the token expires.
absl::StatusOr<absl::Time> CheckTimes(const JwtRules& rules,
                                      const JsonFields& claims,
                                      absl::Time now) {
  LATCHKEY_ASSIGN_OR_RETURN(const auto expires, TimeOf(claims, "exp"));
  LATCHKEY_ASSIGN_OR_RETURN(const auto begins, TimeOf(claims, "nbf"));
  LATCHKEY_ASSIGN_OR_RETURN(const auto made, TimeOf(claims, "iat"));
  if (!expires.has_value()) return Refused("the bearer token never expires");
  if (now >= *expires) return Refused("the bearer token has expired");
  if (begins.value_or(now) > now + kJwtLeeway ||
      made.value_or(now) > now + kJwtLeeway) {
    return Refused("the bearer token is not valid yet");
  }
  if (!rules.max_age.has_value()) return *expires;
  if (!made.has_value()) {
    return Refused("the bearer token does not say when it was made");
  }
  const absl::Time too_old = *made + *rules.max_age + kJwtLeeway;
  if (now >= too_old) return Refused("the bearer token is too old");
  return std::min(*expires, too_old);
}

const Value* Follow(const JsonFields& claims, const ClaimPath& path) {
  const JsonFields* at = &claims;
  const Value* value = nullptr;
  for (const std::string& name : path) {
    if (at == nullptr) return nullptr;
    value = FindMember(*at, name);
    if (value == nullptr) return nullptr;
    at = value->has_struct_value() ? &value->struct_value() : nullptr;
  }
  return value;
}

// The strings of a claim; none if it is anything but a string or a list of
// strings. What is not usable is left out.
std::vector<std::string> StringsOf(const Value& claim) {
  std::vector<std::string> strings;
  if (claim.kind_case() == Value::kStringValue) {
    strings.push_back(claim.string_value());
  }
  for (const Value& item : claim.list_value().values()) {
    if (item.kind_case() != Value::kStringValue) return {};
    strings.push_back(item.string_value());
  }
  std::erase_if(strings, [](const std::string& value) {
    return !IsAttributeValue(value);
  });
  return strings;
}

}  // namespace

absl::StatusOr<ClaimPath> ParseClaimPath(std::string_view text) {
  const bool pointer = text.starts_with('/');
  if (pointer) text.remove_prefix(1);
  ClaimPath path;
  for (bool more = true; more;) {
    const size_t end = text.find(pointer ? '/' : '.');
    more = end != std::string_view::npos;
    const std::string_view name = text.substr(0, end);
    if (name.empty()) {
      return absl::InvalidArgumentError(
          "not the path of a claim such as compute.instance_name or "
          "/kubernetes.io/namespace");
    }
    path.push_back(pointer ? Unescaped(name) : std::string(name));
    if (more) text.remove_prefix(end + 1);
  }
  return path;
}

absl::Status ValidateMappedAttribute(std::string_view name) {
  constexpr size_t kMaxLength = 63;
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const bool formed = !name.empty() && name.size() <= kMaxLength &&
                      letter(name.front()) &&
                      std::all_of(name.begin(), name.end(), [&](char c) {
                        return letter(c) || (c >= '0' && c <= '9') || c == '_';
                      });
  if (!formed) {
    return absl::InvalidArgumentError(
        "the name of an attribute must match [a-z][a-z0-9_]{0,62}");
  }
  if (std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end()) {
    return absl::InvalidArgumentError(
        "this name is reserved: Latchkey itself gives it its meaning");
  }
  return absl::OkStatus();
}

bool IsForAudience(const JsonFields& claims, std::string_view audience) {
  const Value* claim = FindMember(claims, "aud");
  if (claim == nullptr) return false;
  const std::vector<std::string> audiences = StringsOf(*claim);
  return std::find(audiences.begin(), audiences.end(), audience) !=
         audiences.end();
}

std::optional<absl::Time> ExpirationOf(const JsonFields& claims) {
  return TimeOf(claims, "exp").value_or(std::nullopt);
}

absl::StatusOr<TimedIdentity> IdentityFromJwt(const JwtRules& rules,
                                              const Jws& jws,
                                              const JsonFields& claims,
                                              absl::Time now) {
  if (!IsCallersType(jws.type)) {
    return Refused("the bearer token is of a type that is for something else");
  }
  const std::string* issuer = FindString(claims, "iss");
  if (issuer == nullptr || *issuer != rules.issuer) {
    return Refused("the bearer token is of another issuer");
  }
  if (!IsForAudience(claims, rules.audience)) {
    return Refused("the bearer token is for another audience");
  }
  LATCHKEY_ASSIGN_OR_RETURN(const absl::Time expires,
                            CheckTimes(rules, claims, now));
  const std::string* subject = FindString(claims, "sub");
  if (subject == nullptr || !IsAttributeValue(*subject)) {
    return Refused("the bearer token names no usable subject");
  }
  Identity identity{
      .name = fmt::format("jwt:{}:{}", rules.name, *subject),
      .kind = IdentityKind::kJwt,
      .attributes = {{std::string(attribute::kIssuer), {*issuer}},
                     {std::string(attribute::kSubject), {*subject}}}};
  for (const auto& [name, path] : rules.attributes) {
    const Value* claim = Follow(claims, path);
    if (claim == nullptr) continue;
    std::vector<std::string> values = StringsOf(*claim);
    // emplace: a reserved attribute that is there stays what it is.
    if (!values.empty()) identity.attributes.emplace(name, std::move(values));
  }
  return TimedIdentity{.identity = std::move(identity), .expires = expires};
}

}  // namespace latchkey
