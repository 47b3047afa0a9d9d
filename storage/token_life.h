// The life of a token, as pure functions: each arrow takes a record and answers
// the record after it, or why there is no such arrow from here.
//
//              Claim               Reserve               Spend
//   kIssued ---------> kActive <-------------> kReserved -------> kSpent
//      |                  |        Release         |
//      +------------------+------- Revoke ---------+------------> kRevoked
//
// Extend and NoteRefused lead from each of the first three back to itself: the
// one moves the deadline, the other writes down who tried what.
//
// An arrow asserts the state that it leaves. If the record stands where the
// arrow leads already, by this very cause (a repeated call, or an answer that
// was lost), it answers "nothing to write": so every arrow may be tried again.
//
// Nothing here reads a clock or a store; storage/advance.h writes what comes
// out.

#ifndef LATCHKEY_STORAGE_TOKEN_LIFE_H_
#define LATCHKEY_STORAGE_TOKEN_LIFE_H_

#include <optional>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "storage/token_record.h"

namespace latchkey {

// The next record; nothing, if there is nothing to write.
using NextRecord = absl::StatusOr<std::optional<TokenRecord>>;

// OK if the token can still be used at `now`: kIssued, kActive or kReserved and
// not expired. Else kFailedPrecondition: TOKEN_SPENT, TOKEN_REVOKED,
// TOKEN_EXPIRED.
absl::Status CheckUsable(const TokenRecord& record, absl::Time now);

struct ClaimRequest {
  std::string node_name;
  KeyDigest key_digest;
  std::string claimant;
};

// kIssued to kActive: binds the key; the token must be used within `window`.
// The caller has proved that it holds the ticket. From kActive and kReserved
// nothing to write if the same key claimed it.
//
// TICKET_ALREADY_CLAIMED (kFailedPrecondition): another key did, or the token
// never had a ticket. SCOPE_NODE_NAME, SCOPE_PUBLIC_KEY (kPermissionDenied):
// the ticket is for another machine. And as CheckUsable.
NextRecord Claim(const TokenRecord& record, const ClaimRequest& request,
                 absl::Time now, absl::Duration window);

// kActive to kReserved: from here on no other CSR can have the token. Nothing
// to write if this very CSR has it.
//
// TOKEN_NOT_CLAIMED, TOKEN_RESERVED (kFailedPrecondition): the ticket is not
// claimed; another CSR has it. SCOPE_PUBLIC_KEY (kPermissionDenied): the token
// is bound to another key. And as CheckUsable.
NextRecord Reserve(const TokenRecord& record, const Reservation& reservation,
                   absl::Time now);

// kReserved to kActive: CSR `csr_uid` is certain never to yield a certificate.
// Nothing to write if that CSR does not have the token.
NextRecord Release(const TokenRecord& record, std::string_view csr_uid);

// kReserved to kSpent: CSR `csr_uid` yielded `certificate`. Scrubs the record:
// `stand_in` replaces the secret half. Nothing to write if it is spent on that
// certificate. kFailedPrecondition if another CSR, or none, has the token.
NextRecord Spend(const TokenRecord& record, std::string_view csr_uid,
                 const BoughtCertificate& certificate,
                 const SecretString& stand_in);

// Moves the expiration to `expire_time`; the state stays. Never shortens:
// nothing to write if the record lasts as long. As CheckUsable.
NextRecord Extend(const TokenRecord& record, absl::Time expire_time,
                  absl::Time now);

// Notes an attempt that was refused; the state stays. Nothing to write if it
// is noted: the same reason and the same `by` are the same attempt, whenever
// and by whichever broker it was refused. Neither if the record has `room`
// notes, or is spent or revoked: what a thief does must not cost more than a
// few writes.
NextRecord NoteRefused(const TokenRecord& record, const RefusedAttempt& attempt,
                       size_t room);

// kIssued, kActive or kReserved to kRevoked, scrubbed. Nothing to write if it
// is revoked. TOKEN_SPENT (kFailedPrecondition): too late.
NextRecord Revoke(const TokenRecord& record, const Revocation& revocation,
                  const SecretString& stand_in);

}  // namespace latchkey

#endif  // LATCHKEY_STORAGE_TOKEN_LIFE_H_
