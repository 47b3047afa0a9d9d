// What a token may buy, in domain types.

#ifndef LATCHKEY_CORE_TOKEN_SCOPE_H_
#define LATCHKEY_CORE_TOKEN_SCOPE_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>

namespace latchkey {

enum class Delivery { kTicket, kDirect };

// "ticket" or "direct".
std::string_view DeliveryName(Delivery delivery);
std::optional<Delivery> DeliveryFromName(std::string_view name);

// SHA-256 of a public key's SubjectPublicKeyInfo in DER, as 64 lower-case
// hexadecimal digits.
using KeyDigest = std::string;
bool IsKeyDigest(std::string_view text);

struct TokenScope {
  // The one Node name that the machine may take.
  std::string node_name;
  // Groups of the bootstrap token beside the broker's own, without duplicates.
  std::vector<std::string> groups;
  // The longest certificate lifetime that a CSR may ask for. Set, a CSR must
  // ask for one. At least 10 minutes, whole seconds.
  std::optional<absl::Duration> max_certificate_lifetime;
  // Set, only this key can claim the ticket or get the certificate.
  std::optional<KeyDigest> key_digest;
  // The machine may take the name of a Node that exists.
  bool allow_node_replacement = false;

  bool operator==(const TokenScope&) const = default;
};

// The shortest and longest certificate lifetimes that can be asked for: the
// first is the least that a Kubernetes CSR may ask, the second ours.
inline constexpr absl::Duration kMinCertificateLifetime = absl::Minutes(10);
inline constexpr absl::Duration kMaxCertificateLifetime = absl::Hours(24 * 365);

// The shortest and longest lifetimes of a token.
inline constexpr absl::Duration kMinTokenLifetime = absl::Minutes(1);
inline constexpr absl::Duration kMaxTokenLifetime = absl::Hours(24 * 7);

// kInvalidArgument, with the reason INVALID_FIELD and the field's name
// (relative to the scope) as metadata "field", unless every field is within its
// documented form and limit.
absl::Status ValidateScope(const TokenScope& scope);

// True if `group` can be an extra group of a bootstrap token: matches
// system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9] (Kubernetes bootstrap tokens).
bool IsBootstrapGroup(std::string_view group);

}  // namespace latchkey

#endif  // LATCHKEY_CORE_TOKEN_SCOPE_H_
