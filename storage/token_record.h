// What Latchkey knows of a token: the domain's view of its record, whichever
// store keeps it.

#ifndef LATCHKEY_STORAGE_TOKEN_RECORD_H_
#define LATCHKEY_STORAGE_TOKEN_RECORD_H_

#include <any>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/time/time.h>

#include "core/bootstrap_token.h"
#include "core/secret_string.h"
#include "core/token_labels.h"
#include "core/token_scope.h"
#include "policy/identity.h"

namespace latchkey {

// The arrows between the states are in storage/token_life.h.
enum class TokenState { kIssued, kActive, kReserved, kSpent, kRevoked };

// "issued", "active", "reserved", "spent", "revoked".
std::string_view TokenStateName(TokenState state);
std::optional<TokenState> TokenStateFromName(std::string_view name);

// The arrow that led to where a record stands: each write of a record is one,
// so whoever watches records sees every step of every token.
enum class TokenStep {
  kIssued,
  kClaimed,
  kReserved,
  kReleased,
  kSpent,
  kRevoked,
  kExtended,
  kRefused,  // an attempt was refused and noted; the state is as it was
};

// "issued", "claimed", "reserved", "released", "spent", "revoked", "extended",
// "refused".
std::string_view TokenStepName(TokenStep step);
std::optional<TokenStep> TokenStepFromName(std::string_view name);

// Who claimed the ticket.
struct TokenClaim {
  KeyDigest key_digest;
  // The peer's address as the broker saw it; for people, never for decisions.
  std::string claimant;
  absl::Time time;

  bool operator==(const TokenClaim&) const = default;
};

// The one CSR that holds the token.
struct Reservation {
  std::string csr_name;
  std::string csr_uid;
  KeyDigest key_digest;
  absl::Time time;

  bool operator==(const Reservation&) const = default;
};

// The one certificate that the token bought.
struct BoughtCertificate {
  std::string fingerprint;  // SHA-256 of the DER, hexadecimal
  std::string serial;       // hexadecimal
  absl::Time not_after;
  // When the token was spent on it.
  absl::Time time = absl::InfinitePast();

  bool operator==(const BoughtCertificate&) const = default;
};

struct Revocation {
  std::string who;
  std::string why;
  absl::Time time;

  bool operator==(const Revocation&) const = default;
};

// An attempt to use the token that was refused.
struct RefusedAttempt {
  // Of core/reasons.h.
  std::string reason;
  // A peer's address, or a CSR's name; for people. No line breaks.
  std::string by;
  absl::Time time;

  bool operator==(const RefusedAttempt&) const = default;
};

// All times are whole seconds: that is what the stores keep.
struct TokenRecord {
  TokenId id;
  TokenState state = TokenState::kIssued;
  TokenStep last_step = TokenStep::kIssued;
  // The secret half of the bootstrap token; a random stand-in once scrubbed.
  SecretString secret;
  Delivery delivery = Delivery::kTicket;
  TokenScope scope;
  // Every group of the bootstrap token, in the order minted: the broker's own,
  // then the scope's.
  std::vector<std::string> groups;

  // Who issued it, and under which rule of the policy.
  std::string provisioner;
  IdentityKind provisioner_kind = IdentityKind::kCertificate;
  TokenLabels labels;
  std::string rule;
  // SHA-256 over (provisioner, request_id): whose request this is.
  std::string request_key;
  // SHA-256 over all that was requested: whether it is the same request.
  std::string request_digest;

  // Ticket delivery: SHA-256 of the ticket, and the random half of what the
  // ticket is derived from (docs/adr: the ticket of a repeated request). The
  // salt is wiped when the record is scrubbed.
  std::string ticket_digest;
  SecretString ticket_salt;

  // By the store's clock; a store fills it in.
  absl::Time create_time = absl::InfinitePast();
  // kIssued: claim before. kActive, kReserved: be approved before. Else: when
  // the record is to be removed. The boundary instant is expired.
  absl::Time expire_time = absl::InfinitePast();

  std::optional<TokenClaim> claim;
  std::optional<Reservation> reservation;
  std::optional<BoughtCertificate> certificate;
  std::optional<Revocation> revocation;
  // Of the attempts that were refused the first, oldest first; see NoteRefused
  // in storage/token_life.h. Fewer than Advance (storage/advance.h) tries: a
  // thief alone cannot keep a machine from its token by being noted. Those that
  // are no misuse leave room for it.
  static constexpr size_t kMaxRefused = 6;
  static constexpr size_t kMaxRefusedOtherwise = 3;
  std::vector<RefusedAttempt> refused;

  bool ExpiredAt(absl::Time now) const { return expire_time <= now; }

  // The only key that can use the token, once there is one: the scope's, the
  // claimer's, or that of the CSR that holds the reservation.
  std::optional<KeyDigest> BoundKey() const;
};

// A record as a store holds it, with the version to assert when replacing it.
struct StoredToken {
  TokenRecord record;
  std::string version;
  std::string uid;
  // What else the store found there and will write back; opaque.
  std::any origin;
};

}  // namespace latchkey

#endif  // LATCHKEY_STORAGE_TOKEN_RECORD_H_
