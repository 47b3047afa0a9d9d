#include "services/csr_approver.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <absl/status/status.h>
#include <fmt/format.h>

#include "clients/log/event_log.h"
#include "core/fault_point.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "core/status_macros.h"
#include "core/text_time.h"
#include "services/csr_rules.h"
#include "storage/advance.h"

namespace latchkey {
namespace {

using kubernetes::CertificateSigningRequest;

// Tries to decide one CSR before somebody who waits is told to come again.
constexpr int kMaxTries = 3;

// A refusal is a decision about the CSR; any other error is about the cluster.
bool IsRefusal(const absl::Status& status) { return !ReasonOf(status).empty(); }

WorkResult RetryAfter(const absl::Status& status) {
  return WorkResult::Retry(RetryAfterOf(status).value_or(absl::ZeroDuration()));
}

// What both records of an approval, and that of a denial, say of the CSR.
AuditEvent EventOf(std::string_view action,
                   const CertificateSigningRequest& csr, const TokenId& id,
                   std::string_view token_uid) {
  return {.action = std::string(action),
          .token_id = id.text(),
          .token_uid = std::string(token_uid),
          .facts = {{"csr", csr.metadata().name()},
                    {"csr_uid", csr.metadata().uid()}}};
}

}  // namespace

bool CsrApprover::Concerns(const CertificateSigningRequest& csr) {
  return csr.spec().signer_name() == kKubeletClientSigner &&
         StateOf(csr) == CsrState::kPending &&
         TokenIdOfUsername(csr.spec().username()).ok();
}

WorkResult CsrApprover::Decide(const CertificateSigningRequest& csr,
                               absl::Time seen) {
  const absl::StatusOr<TokenId> id = TokenIdOfUsername(csr.spec().username());
  if (!id.ok()) return WorkResult::Done();
  const Verdict verdict = Judge(csr, *id);
  switch (verdict.kind) {
    case Verdict::Kind::kLeave:
      return WorkResult::Done();
    case Verdict::Kind::kRetry:
      LogEvent(LogLevel::kWarning, "csr undecided",
               {{"csr", csr.metadata().name()},
                {"token", id->text()},
                {"status", verdict.why.ToString()}});
      return RetryAfter(verdict.why);
    case Verdict::Kind::kApprove:
    case Verdict::Kind::kDeny:
      return Conclude(csr, *id, verdict, seen);
  }
  return WorkResult::Done();
}

absl::Status CsrApprover::CutOff(const Reservation& reservation) {
  const absl::Time begun = clock_.Now();
  for (int tries = 0; tries <= kMaxTries; ++tries) {
    const absl::StatusOr<CertificateSigningRequest> csr =
        client_.Get<CertificateSigningRequest>({"", reservation.csr_name});
    if (absl::IsNotFound(csr.status())) return absl::OkStatus();
    LATCHKEY_RETURN_IF_ERROR(csr.status());
    if (csr->metadata().uid() != reservation.csr_uid ||
        StateOf(*csr) != CsrState::kPending) {
      return absl::OkStatus();
    }
    if (tries < kMaxTries) Decide(*csr, begun);  // finds the token revoked
  }
  return latchkey::Refuse(
      absl::StatusCode::kUnavailable, reason::kClusterUnavailable,
      fmt::format("the token is revoked, but its CSR {} could not be denied; "
                  "revoke the token again, by its id",
                  reservation.csr_name));
}

CsrApprover::Verdict CsrApprover::Judge(const CertificateSigningRequest& csr,
                                        const TokenId& id) {
  absl::StatusOr<StoredToken> token = store_.Find(id);
  if (token.ok()) return JudgeAgainst(*std::move(token), csr);
  if (absl::IsNotFound(token.status())) {
    const auto& groups = csr.spec().groups();
    if (std::find(groups.begin(), groups.end(), options_.token_group) ==
        groups.end()) {
      return {Verdict::Kind::kLeave, absl::OkStatus()};
    }
    return {Verdict::Kind::kDeny,
            Refuse(absl::StatusCode::kFailedPrecondition, reason::kTokenUnknown,
                   "the token's record is gone")};
  }
  if (absl::IsFailedPrecondition(token.status())) {
    return {Verdict::Kind::kLeave, absl::OkStatus()};  // not a token of ours
  }
  return {Verdict::Kind::kRetry, token.status()};
}

CsrApprover::Verdict CsrApprover::JudgeAgainst(
    StoredToken token, const CertificateSigningRequest& csr) {
  const TokenRecord& record = token.record;
  absl::Status refusal;
  // Of the record as it was when it refused: another CSR may have bound it
  // since `token` was read.
  std::optional<KeyDigest> bound;
  absl::StatusOr<KeyDigest> key = CheckCsr(csr, record);
  if (!key.ok()) {
    refusal = key.status();
  } else {
    // Whether the record would take this CSR, asked before the question about
    // the Node, which costs a round trip; and asked again by the write below.
    const Reservation reservation{.csr_name = csr.metadata().name(),
                                  .csr_uid = csr.metadata().uid(),
                                  .key_digest = *key,
                                  .time = WholeSeconds(clock_.Now())};
    const auto reserve = [&](const TokenRecord& at) {
      bound = at.BoundKey();
      return Reserve(at, reservation, clock_.Now());
    };
    refusal = reserve(record).status();
    if (refusal.ok()) {
      // What cannot be recorded is not begun.
      const absl::Status ready = audit_.Ready();
      if (!ready.ok()) return {Verdict::Kind::kRetry, ready};
      refusal = CheckNodeIsFree(record.scope);
    }
    if (refusal.ok()) {
      refusal = Advance(store_, record.id, reserve, token).status();
    }
    if (refusal.ok()) {
      // Also if an earlier attempt, or another broker, wrote the reservation
      // and did not live to say so: each approval has its reservation in the
      // file that it is in.
      AuditEvent event = EventOf("token.reserve", csr, record.id, token.uid);
      event.facts["node"] = record.scope.node_name;
      event.facts["key"] = *key;
      event.rule = record.rule;
      const absl::Status recorded = audit_.Record(event);
      if (!recorded.ok()) return {Verdict::Kind::kRetry, recorded};
    }
  }
  if (refusal.ok()) return {Verdict::Kind::kApprove, refusal, std::move(token)};
  if (absl::IsNotFound(refusal)) {
    // Gone since it was read.
    refusal = Refuse(absl::StatusCode::kFailedPrecondition,
                     reason::kTokenUnknown, "the token's record is gone");
  }
  if (!IsRefusal(refusal)) return {Verdict::Kind::kRetry, refusal};
  if (ReasonOf(refusal) == reason::kTokenReserved && key.ok() &&
      bound == *key) {
    // The same machine, before the upkeep has given its dead CSR's token back:
    // a denial would be final, and this may pass.
    return {Verdict::Kind::kRetry, refusal};
  }
  if (IsMisuse(ReasonOf(refusal))) {
    misuse_.Report(token, refusal, CsrAttempt(csr.metadata().name()));
  }
  return {Verdict::Kind::kDeny, refusal, std::move(token)};
}

absl::Status CsrApprover::CheckNodeIsFree(const TokenScope& scope) {
  if (scope.allow_node_replacement) return absl::OkStatus();
  const absl::StatusOr<kubernetes::Node> node =
      client_.Get<kubernetes::Node>({"", scope.node_name});
  if (absl::IsNotFound(node.status())) return absl::OkStatus();
  if (!node.ok()) return node.status();
  return Refuse(absl::StatusCode::kFailedPrecondition, reason::kNodeExists,
                "a Node of this name exists, and the token may not replace it");
}

void CsrApprover::Count(const CertificateSigningRequest& csr,
                        std::string_view reason, bool approved,
                        absl::Time seen) {
  if (options_.metrics == nullptr) return;
  const absl::Duration waited =
      std::max(clock_.Now() - seen, absl::ZeroDuration());
  if (approved) {
    options_.metrics->CsrApproved(csr.metadata().uid(), waited);
  } else {
    options_.metrics->CsrDenied(reason, waited);
  }
}

WorkResult CsrApprover::Conclude(CertificateSigningRequest csr,
                                 const TokenId& id, const Verdict& verdict,
                                 absl::Time seen) {
  const bool approve = verdict.kind == Verdict::Kind::kApprove;
  AuditEvent event =
      EventOf(approve ? "csr.approve" : "csr.deny", csr, id,
              verdict.token.has_value() ? verdict.token->uid : "");
  if (!approve) {
    event.verdict = AuditVerdict::kDenied;
    event.reason = ReasonOf(verdict.why);
  }
  // Before the cluster hears of it, or not at all.
  if (const absl::Status recorded = audit_.Record(event); !recorded.ok()) {
    return RetryAfter(recorded);
  }
  if (approve) FaultPoint("approver.reserved");
  auto& condition = *csr.mutable_status()->add_conditions();
  condition.set_type(approve ? "Approved" : "Denied");
  condition.set_status("True");
  condition.set_reason(approve ? "LatchkeyApproved" : ReasonOf(verdict.why));
  condition.set_message(
      approve ? fmt::format("fits the scope of token {}", id.text())
              : std::string(verdict.why.message()));
  // The object carries the UID and resourceVersion that were judged, so a CSR
  // that changed since, or another of the same name, is not decided by this.
  const absl::Status written = client_.Update(csr, "approval").status();
  const std::string name = csr.metadata().name();
  if (written.ok()) {
    LogEvent(LogLevel::kInfo, approve ? "csr approved" : "csr denied",
             {{"csr", name},
              {"token", id.text()},
              {"reason", condition.reason()},
              {"message", condition.message()}});
    Count(csr, condition.reason(), approve, seen);
    if (!approve && verdict.token.has_value() &&
        !IsMisuse(condition.reason())) {
      misuse_.NoteDenial(*verdict.token, verdict.why, name);
    }
    return WorkResult::Done();
  }
  // Stale or gone: whoever changed or removed it made a watch event, and with
  // it the CSR comes here again, as it is then, if there is still something to
  // decide. Should that event have come first, a retry finds the CSR decided.
  const bool raced = absl::IsAborted(written) || absl::IsNotFound(written);
  LogEvent(raced ? LogLevel::kDebug : LogLevel::kWarning, "csr not decided",
           {{"csr", name}, {"status", written.ToString()}});
  return absl::IsNotFound(written) ? WorkResult::Done() : RetryAfter(written);
}

}  // namespace latchkey
