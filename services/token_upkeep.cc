#include "services/token_upkeep.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include "clients/log/event_log.h"
#include "core/execution.h"
#include "core/refusal.h"
#include "core/text_time.h"
#include "crypto/certificate.h"
#include "crypto/random.h"
#include "services/csr_rules.h"
#include "storage/advance.h"

namespace latchkey {
namespace {

using kubernetes::CertificateSigningRequest;

constexpr size_t kMaxRemembered = 10'000;

void LogToken(std::string_view event, const TokenRecord& record,
              std::string detail) {
  LogEvent(LogLevel::kInfo, event,
           {{"token", record.id.text()},
            {"node", record.scope.node_name},
            {"detail", std::move(detail)}});
}

// Tries again later, unless the record went another way meanwhile.
WorkResult AfterError(const TokenId& id, const absl::Status& status) {
  if (absl::IsNotFound(status) || absl::IsFailedPrecondition(status)) {
    return WorkResult::Done();
  }
  if (absl::IsDataLoss(status)) {
    LogEvent(LogLevel::kWarning, "record altered",
             {{"token", id.text()}, {"status", status.ToString()}});
    return WorkResult::Done();
  }
  LogEvent(LogLevel::kWarning, "upkeep delayed",
           {{"token", id.text()}, {"status", status.ToString()}});
  return WorkResult::Retry(RetryAfterOf(status).value_or(absl::ZeroDuration()));
}

AuditEvent EventOf(std::string_view action, const StoredToken& token) {
  AuditEvent event{.action = std::string(action),
                   .rule = token.record.rule,
                   .token_id = token.record.id.text(),
                   .token_uid = token.uid,
                   .facts = {{"node", token.record.scope.node_name}}};
  if (const auto& reservation = token.record.reservation) {
    event.facts["csr"] = reservation->csr_name;
    event.facts["csr_uid"] = reservation->csr_uid;
  }
  return event;
}

}  // namespace

void TokenUpkeep::NoteDeleted(const CertificateSigningRequest& csr) {
  if (StateOf(csr) == CsrState::kIssued) return;
  const MutexLock lock(mutex_);
  if (!died_unsigned_.insert(csr.metadata().uid()).second) return;
  deaths_.push_back(csr.metadata().uid());
  if (deaths_.size() <= kMaxRemembered) return;
  died_unsigned_.erase(deaths_.front());
  deaths_.pop_front();
}

WorkResult TokenUpkeep::Tend(const TokenId& id) {
  const WorkResult result = TendRecord(id);
  // The record is gone, or another's, whoever saw to it.
  if (result.kind == WorkResult::Kind::kDone) ForgetIssue(id);
  return result;
}

WorkResult TokenUpkeep::TendRecord(const TokenId& id) {
  const absl::StatusOr<StoredToken> token = store_.Find(id);
  if (!token.ok()) return AfterError(id, token.status());
  const TokenRecord& record = token->record;
  if (record.ExpiredAt(clock_.Now())) return Remove(*token);
  if (record.state == TokenState::kReserved) return TendReserved(*token);
  Forget(record);  // another broker may have taken it further
  return WorkResult::Again(record.expire_time);
}

WorkResult TokenUpkeep::Remove(const StoredToken& token) {
  const TokenRecord& record = token.record;
  const absl::Status removed = store_.Remove(token);
  if (!removed.ok()) return AfterError(record.id, removed);
  AuditEvent event = EventOf("token.remove", token);
  event.facts["state"] = std::string(TokenStateName(record.state));
  audit_.Record(event).IgnoreError();  // it is gone either way
  LogToken("token removed", record,
           "expired while " + std::string(TokenStateName(record.state)));
  Forget(record);
  return WorkResult::Done();
}

WorkResult TokenUpkeep::TendReserved(const StoredToken& token) {
  const TokenRecord& record = token.record;
  const absl::StatusOr<CertificateSigningRequest> csr =
      client_.Get<CertificateSigningRequest>(
          {"", record.reservation->csr_name});
  if (!csr.ok() && !absl::IsNotFound(csr.status())) {
    return AfterError(record.id, csr.status());
  }
  const std::string& uid = record.reservation->csr_uid;
  if (!csr.ok() || csr->metadata().uid() != uid) {
    if (DiedUnsigned(uid)) return ReleaseFrom(token);
    // It may have been issued before it went: the token stays taken.
    return WorkResult::Again(record.expire_time);
  }
  switch (StateOf(*csr)) {
    case CsrState::kDead:
      return ReleaseFrom(token);
    case CsrState::kIssued:
      return SpendOn(token, *csr);
    case CsrState::kPending:   // the approver's to complete
    case CsrState::kApproved:  // the signer's; its answer is an event
      break;
  }
  return WorkResult::Again(record.expire_time);
}

WorkResult TokenUpkeep::ReleaseFrom(const StoredToken& token) {
  const std::string uid = token.record.reservation->csr_uid;
  // That the CSR is dead is true whatever becomes of the write.
  if (const absl::Status recorded =
          audit_.Record(EventOf("token.release", token));
      !recorded.ok()) {
    return AfterError(token.record.id, recorded);
  }
  const auto released = Advance(
      store_, token.record.id,
      [&](const TokenRecord& record) { return Release(record, uid); }, token);
  if (!released.ok()) return AfterError(token.record.id, released.status());
  LogToken("token released", token.record,
           "csr " + token.record.reservation->csr_name + " is dead");
  Forget(token.record);
  return WorkResult::Again(released->record.expire_time);
}

WorkResult TokenUpkeep::SpendOn(const StoredToken& token,
                                const CertificateSigningRequest& csr) {
  absl::Time look_again;
  if (!WasFetched(token.record, &look_again)) {
    return WorkResult::Again(look_again);
  }
  BoughtCertificate bought;
  const auto chain = Certificate::ParseAll(csr.status().certificate());
  if (chain.ok()) {
    bought = {.fingerprint = chain->front().fingerprint,
              .serial = chain->front().serial,
              .not_after = chain->front().not_after};
  } else {
    // The API server takes only certificates that parse, so this one is beyond
    // us alone; the token is spent all the same.
    bought = {.fingerprint = "unreadable",
              .serial = "",
              .not_after = token.record.expire_time};
  }
  bought.time = WholeSeconds(clock_.Now());
  AuditEvent event = EventOf("token.spend", token);
  event.facts["certificate"] = bought.fingerprint;
  if (const absl::Status recorded = audit_.Record(event); !recorded.ok()) {
    return AfterError(token.record.id, recorded);
  }
  const SecretString stand_in = RandomBase36(BootstrapToken::kSecretLength);
  const auto spent = Advance(
      store_, token.record.id,
      [&](const TokenRecord& record) {
        return Spend(record, csr.metadata().uid(), bought, stand_in);
      },
      token);
  if (!spent.ok()) return AfterError(token.record.id, spent.status());
  LogToken("token spent", token.record, "certificate " + bought.fingerprint);
  Forget(token.record);
  return WorkResult::Again(spent->record.expire_time);
}

bool TokenUpkeep::WasFetched(const TokenRecord& record,
                             absl::Time* look_again) {
  // A clock that is set forward spends no token before its machine is there.
  const absl::Time now = ExecutionNow();
  absl::Duration left;
  {
    const MutexLock lock(mutex_);
    Issue& issue = issues_[record.id.text()];
    if (issue.csr_uid != record.reservation->csr_uid) {
      issue = {.csr_uid = record.reservation->csr_uid, .seen = now};
    }
    left = issue.seen + options_.fetch_grace - now;
  }
  if (left <= absl::ZeroDuration()) return true;
  // With replacement the Node may be that of the machine before.
  if (!record.scope.allow_node_replacement &&
      client_.Get<kubernetes::Node>({"", record.scope.node_name}).ok()) {
    return true;
  }
  *look_again = clock_.Now() + std::min(left, options_.node_poll);
  return false;
}

bool TokenUpkeep::DiedUnsigned(const std::string& csr_uid) {
  const MutexLock lock(mutex_);
  return died_unsigned_.contains(csr_uid);
}

void TokenUpkeep::Forget(const TokenRecord& record) {
  ForgetIssue(record.id);
  if (!record.reservation.has_value()) return;
  const MutexLock lock(mutex_);
  died_unsigned_.erase(record.reservation->csr_uid);
}

void TokenUpkeep::ForgetIssue(const TokenId& id) {
  const MutexLock lock(mutex_);
  issues_.erase(id.text());
}

}  // namespace latchkey
