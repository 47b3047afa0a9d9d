// Who calls: what a verified credential says of its holder.

#ifndef LATCHKEY_POLICY_IDENTITY_H_
#define LATCHKEY_POLICY_IDENTITY_H_

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "core/mutex.h"

namespace latchkey {

// How a caller proved who it is.
enum class IdentityKind { kCertificate, kServiceAccount, kJwt };

// "certificate", "service_account", "jwt".
std::string_view IdentityKindName(IdentityKind kind);
std::optional<IdentityKind> IdentityKindFromName(std::string_view name);

// Attributes of an identity that a policy can match on, by kind:
//   certificate      spiffe_id, dns_name, common_name
//   service_account  service_account ("namespace/name"), namespace, group
//   jwt              issuer, subject, and what the issuer's configuration maps
//                    claims to, under the names that it gives them
namespace attribute {
inline constexpr std::string_view kSpiffeId = "spiffe_id";
inline constexpr std::string_view kDnsName = "dns_name";
inline constexpr std::string_view kCommonName = "common_name";
inline constexpr std::string_view kServiceAccount = "service_account";
inline constexpr std::string_view kNamespace = "namespace";
inline constexpr std::string_view kGroup = "group";
inline constexpr std::string_view kIssuer = "issuer";
inline constexpr std::string_view kSubject = "subject";
}  // namespace attribute

// True if an attribute can have this value: printable ASCII without spaces, not
// empty, at most 2048 characters.
bool IsAttributeValue(std::string_view value);

// An authenticated caller: its credential was verified, and this is what it
// says. Every value is one that IsAttributeValue() admits.
struct Identity {
  // One name for the owner of tokens, the log and idempotency. Two credentials
  // with one name are one provisioner; names of different kinds never meet.
  //   certificate      "spiffe://…" if there is a SPIFFE ID, else
  //                    "dns:<first DNS SAN>", else "cn:<common name>"
  //   service_account  "sa:<namespace>/<name>"
  //   jwt              "jwt:<issuer's configured name>:<subject>"
  std::string name;
  IdentityKind kind = IdentityKind::kCertificate;
  // Each with one value or more, in the credential's order.
  std::map<std::string, std::vector<std::string>, std::less<>> attributes;

  // None if there is no such attribute.
  const std::vector<std::string>& Values(std::string_view attribute) const;
};

// An identity, and until when it is to be believed: then the credential that
// proved it expires, or has to be looked at again.
struct TimedIdentity {
  Identity identity;
  absl::Time expires = absl::InfiniteFuture();
};

// The identity in a verified client certificate in PEM, and when the
// certificate expires. kUnauthenticated (UNAUTHENTICATED) if it says no usable
// name, or has a SPIFFE ID that is not usable, or more than one (which the
// X.509-SVID standard forbids): it is not passed over for a weaker name.
absl::StatusOr<TimedIdentity> IdentityFromCertificate(std::string_view pem);

// The same, remembered: OpenSSL takes longer to read a certificate than the
// rest of a call does, and a caller shows the same one each time. What it says
// never changes. TLS says whether it is valid, but only when a connection
// begins: whether it has expired since is for the caller to say. Safe for
// concurrent use.
class IdentityCache {
 public:
  // When so many are known, all are forgotten.
  static constexpr size_t kMaxKnown = 256;
  // Longer ones are read each time.
  static constexpr size_t kMaxKnownBytes = 16 << 10;

  absl::StatusOr<TimedIdentity> IdentityOf(std::string_view pem);

 private:
  Mutex mutex_;
  std::map<std::string, TimedIdentity, std::less<>> by_pem_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace latchkey

#endif  // LATCHKEY_POLICY_IDENTITY_H_
