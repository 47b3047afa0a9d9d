#include "policy/identity.h"

#include <algorithm>
#include <array>
#include <utility>

#include <absl/status/status.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "crypto/certificate.h"

namespace latchkey {
namespace {

constexpr std::array<std::string_view, 3> kKinds = {"certificate",
                                                    "service_account", "jwt"};
constexpr std::string_view kSpiffeScheme = "spiffe://";
// SPIFFE-ID, section 2.3; DNS names and common names are far shorter.
constexpr size_t kMaxNameLength = 2048;

absl::Status Refused(std::string_view message) {
  return Refuse(absl::StatusCode::kUnauthenticated, reason::kUnauthenticated,
                message);
}

// Schemes are not told apart by case (RFC 3986, 3.1): "SPIFFE://" is a SPIFFE
// ID in a wrong form, not another kind of name.
bool IsSpiffe(std::string_view uri) {
  constexpr std::string_view kScheme = "spiffe:";
  return uri.size() >= kScheme.size() &&
         std::equal(kScheme.begin(), kScheme.end(), uri.begin(),
                    [](char a, char b) { return a == b || a == (b | 0x20); });
}

// A value that is not usable is no attribute: no rule can be for it.
void Add(Identity& identity, std::string_view attribute,
         const std::string& value) {
  if (IsAttributeValue(value)) {
    identity.attributes[std::string(attribute)].push_back(value);
  }
}

std::string NameOfCertificate(const Identity& identity) {
  constexpr std::pair<std::string_view, std::string_view> kByStrength[] = {
      {attribute::kSpiffeId, ""},
      {attribute::kDnsName, "dns:"},
      {attribute::kCommonName, "cn:"}};
  for (const auto& [attribute, prefix] : kByStrength) {
    const std::vector<std::string>& values = identity.Values(attribute);
    if (!values.empty()) return std::string(prefix) + values.front();
  }
  return "";
}

}  // namespace

bool IsAttributeValue(std::string_view value) {
  return !value.empty() && value.size() <= kMaxNameLength &&
         std::all_of(value.begin(), value.end(),
                     [](char c) { return c > ' ' && c < '\x7f'; });
}

std::string_view IdentityKindName(IdentityKind kind) {
  return kKinds[static_cast<size_t>(kind)];
}

std::optional<IdentityKind> IdentityKindFromName(std::string_view name) {
  const auto it = std::find(kKinds.begin(), kKinds.end(), name);
  if (it == kKinds.end()) return std::nullopt;
  return static_cast<IdentityKind>(it - kKinds.begin());
}

const std::vector<std::string>& Identity::Values(
    std::string_view attribute) const {
  static const std::vector<std::string> none;
  const auto it = attributes.find(attribute);
  return it == attributes.end() ? none : it->second;
}

absl::StatusOr<TimedIdentity> IdentityFromCertificate(std::string_view pem) {
  const auto chain = Certificate::ParseAll(pem);
  if (!chain.ok()) return Refused("the client certificate cannot be read");
  const Certificate& leaf = chain->front();
  Identity identity;
  for (const std::string& uri : leaf.uris) {
    if (!IsSpiffe(uri)) continue;
    if (!identity.Values(attribute::kSpiffeId).empty()) {
      return Refused("the client certificate has more than one SPIFFE ID");
    }
    if (!uri.starts_with(kSpiffeScheme) || !IsAttributeValue(uri)) {
      return Refused("the client certificate's SPIFFE ID is not usable");
    }
    Add(identity, attribute::kSpiffeId, uri);
  }
  for (const std::string& name : leaf.dns_names) {
    Add(identity, attribute::kDnsName, name);
  }
  if (leaf.common_names.size() == 1) {
    Add(identity, attribute::kCommonName, leaf.common_names.front());
  }
  identity.name = NameOfCertificate(identity);
  if (identity.name.empty()) {
    return Refused(
        "the client certificate names nobody: it needs a SPIFFE ID, a DNS name "
        "or a common name of printable ASCII without spaces");
  }
  return TimedIdentity{.identity = std::move(identity),
                       .expires = leaf.not_after};
}

absl::StatusOr<TimedIdentity> IdentityCache::IdentityOf(std::string_view pem) {
  {
    const MutexLock lock(mutex_);
    if (const auto it = by_pem_.find(pem); it != by_pem_.end()) {
      return it->second;
    }
  }
  absl::StatusOr<TimedIdentity> identity = IdentityFromCertificate(pem);
  if (!identity.ok() || pem.size() > kMaxKnownBytes) return identity;
  const MutexLock lock(mutex_);
  if (by_pem_.size() >= kMaxKnown) by_pem_.clear();
  by_pem_.emplace(pem, *identity);
  return identity;
}

}  // namespace latchkey
