#include "storage/token_life.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

absl::Status WrongState(std::string_view reason, const TokenRecord& record,
                        std::string_view message) {
  return Refuse(absl::StatusCode::kFailedPrecondition, reason,
                fmt::format("token {}: {}", record.id.text(), message));
}

absl::Status OutOfScope(std::string_view reason, const TokenRecord& record,
                        std::string_view message) {
  return Refuse(absl::StatusCode::kPermissionDenied, reason,
                fmt::format("token {}: {}", record.id.text(), message));
}

// What remains is a tombstone: it says what happened, and can buy nothing.
void Scrub(TokenRecord& record, TokenState state,
           const SecretString& stand_in) {
  record.state = state;
  record.secret = stand_in;
  record.ticket_salt = SecretString();
}

bool HeldBy(const TokenRecord& record, std::string_view csr_uid) {
  return record.reservation.has_value() &&
         record.reservation->csr_uid == csr_uid;
}

}  // namespace

absl::Status CheckUsable(const TokenRecord& record, absl::Time now) {
  if (record.state == TokenState::kSpent) {
    return WrongState(reason::kTokenSpent, record,
                      "it has bought its certificate");
  }
  if (record.state == TokenState::kRevoked) {
    return WrongState(reason::kTokenRevoked, record, "it was revoked");
  }
  if (record.ExpiredAt(now)) {
    return WrongState(reason::kTokenExpired, record, "it has expired");
  }
  return absl::OkStatus();
}

NextRecord Claim(const TokenRecord& record, const ClaimRequest& request,
                 absl::Time now, absl::Duration window) {
  LATCHKEY_RETURN_IF_ERROR(CheckUsable(record, now));
  if (request.node_name != record.scope.node_name) {
    return OutOfScope(reason::kScopeNodeName, record,
                      "it is for another node name");
  }
  // The scope's key first: whoever lacks it is the wrong machine, claimed or
  // not.
  if (record.scope.key_digest.has_value() &&
      record.scope.key_digest != request.key_digest) {
    return OutOfScope(reason::kScopePublicKey, record, "it is for another key");
  }
  if (record.state != TokenState::kIssued) {
    if (record.claim.has_value() &&
        record.claim->key_digest == request.key_digest) {
      return std::nullopt;
    }
    return WrongState(reason::kTicketAlreadyClaimed, record,
                      "another key has claimed its ticket");
  }
  TokenRecord next = record;
  next.state = TokenState::kActive;
  next.last_step = TokenStep::kClaimed;
  next.claim = {.key_digest = request.key_digest,
                .claimant = request.claimant,
                .time = now};
  next.expire_time = now + window;
  return next;
}

NextRecord Reserve(const TokenRecord& record, const Reservation& reservation,
                   absl::Time now) {
  LATCHKEY_RETURN_IF_ERROR(CheckUsable(record, now));
  if (record.state == TokenState::kIssued) {
    return WrongState(reason::kTokenNotClaimed, record,
                      "its ticket has not been claimed");
  }
  // The reservation before the key: for a direct token the CSR that holds it
  // also binds the key, and a second CSR should hear of the first.
  if (record.state == TokenState::kReserved) {
    if (HeldBy(record, reservation.csr_uid)) return std::nullopt;
    return WrongState(
        reason::kTokenReserved, record,
        fmt::format("CSR {} has it", record.reservation->csr_name));
  }
  if (const auto bound = record.BoundKey();
      bound.has_value() && *bound != reservation.key_digest) {
    return OutOfScope(reason::kScopePublicKey, record,
                      "it is bound to another key");
  }
  TokenRecord next = record;
  next.state = TokenState::kReserved;
  next.last_step = TokenStep::kReserved;
  next.reservation = reservation;
  return next;
}

NextRecord Release(const TokenRecord& record, std::string_view csr_uid) {
  if (record.state != TokenState::kReserved || !HeldBy(record, csr_uid)) {
    return std::nullopt;
  }
  TokenRecord next = record;
  next.state = TokenState::kActive;
  next.last_step = TokenStep::kReleased;
  next.reservation.reset();
  return next;
}

NextRecord Spend(const TokenRecord& record, std::string_view csr_uid,
                 const BoughtCertificate& certificate,
                 const SecretString& stand_in) {
  if (record.state == TokenState::kSpent && HeldBy(record, csr_uid)) {
    return std::nullopt;
  }
  if (record.state != TokenState::kReserved || !HeldBy(record, csr_uid)) {
    return WrongState(reason::kTokenReserved, record,
                      fmt::format("it is {} and not held by this CSR",
                                  TokenStateName(record.state)));
  }
  TokenRecord next = record;
  Scrub(next, TokenState::kSpent, stand_in);
  next.last_step = TokenStep::kSpent;
  next.certificate = certificate;
  return next;
}

NextRecord Extend(const TokenRecord& record, absl::Time expire_time,
                  absl::Time now) {
  LATCHKEY_RETURN_IF_ERROR(CheckUsable(record, now));
  if (expire_time <= record.expire_time) return std::nullopt;
  TokenRecord next = record;
  next.last_step = TokenStep::kExtended;
  next.expire_time = expire_time;
  return next;
}

NextRecord NoteRefused(const TokenRecord& record, const RefusedAttempt& attempt,
                       size_t room) {
  const auto is_same = [&](const RefusedAttempt& noted) {
    return noted.reason == attempt.reason && noted.by == attempt.by;
  };
  if (record.state == TokenState::kSpent ||
      record.state == TokenState::kRevoked || record.refused.size() >= room ||
      std::any_of(record.refused.begin(), record.refused.end(), is_same)) {
    return std::nullopt;
  }
  TokenRecord next = record;
  next.last_step = TokenStep::kRefused;
  next.refused.push_back(attempt);
  return next;
}

NextRecord Revoke(const TokenRecord& record, const Revocation& revocation,
                  const SecretString& stand_in) {
  if (record.state == TokenState::kRevoked) return std::nullopt;
  if (record.state == TokenState::kSpent) {
    return WrongState(reason::kTokenSpent, record,
                      "it has bought its certificate");
  }
  TokenRecord next = record;
  Scrub(next, TokenState::kRevoked, stand_in);
  next.last_step = TokenStep::kRevoked;
  next.revocation = revocation;
  return next;
}

}  // namespace latchkey
