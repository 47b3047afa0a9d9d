#include "services/identity.h"

#include <algorithm>

#include <absl/status/status.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "crypto/certificate.h"

namespace latchkey {
namespace {

constexpr std::string_view kSpiffeScheme = "spiffe://";
// SPIFFE-ID, section 2.3; DNS names and common names are far shorter.
constexpr size_t kMaxNameLength = 2048;

absl::Status Refused(std::string_view message) {
  return Refuse(absl::StatusCode::kUnauthenticated, reason::kUnauthenticated,
                message);
}

bool IsUsableName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameLength &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return c > ' ' && c < '\x7f'; });
}

}  // namespace

absl::StatusOr<Identity> IdentityFromCertificate(std::string_view pem) {
  const auto chain = Certificate::ParseAll(pem);
  if (!chain.ok()) return Refused("the client certificate cannot be read");
  const Certificate& leaf = chain->front();
  Identity identity;
  for (const std::string& uri : leaf.uris) {
    if (uri.substr(0, kSpiffeScheme.size()) != kSpiffeScheme) continue;
    if (!identity.spiffe_id.empty()) {
      return Refused("the client certificate has more than one SPIFFE ID");
    }
    identity.spiffe_id = uri;
  }
  identity.dns_names = leaf.dns_names;
  if (leaf.common_names.size() == 1) {
    identity.common_name = leaf.common_names.front();
  }
  if (!identity.spiffe_id.empty()) {
    identity.name = identity.spiffe_id;
  } else if (!identity.dns_names.empty()) {
    identity.name = "dns:" + identity.dns_names.front();
  } else if (!identity.common_name.empty()) {
    identity.name = "cn:" + identity.common_name;
  }
  if (!IsUsableName(identity.name)) {
    return Refused(
        "the client certificate names nobody: it needs a SPIFFE ID, a DNS name "
        "or a common name of printable ASCII without spaces");
  }
  return identity;
}

absl::StatusOr<Identity> IdentityCache::IdentityOf(std::string_view pem) {
  {
    const MutexLock lock(mutex_);
    if (const auto it = by_pem_.find(pem); it != by_pem_.end()) {
      return it->second;
    }
  }
  absl::StatusOr<Identity> identity = IdentityFromCertificate(pem);
  if (!identity.ok() || pem.size() > kMaxKnownBytes) return identity;
  const MutexLock lock(mutex_);
  if (by_pem_.size() >= kMaxKnown) by_pem_.clear();
  by_pem_.emplace(pem, *identity);
  return identity;
}

}  // namespace latchkey
