#include "tests/simulation/write_log.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/reasons.h"
#include "core/refusal.h"
#include "crypto/certificate_request.h"
#include "services/csr_rules.h"
#include "services/misuse.h"
#include "storage/token_secret.h"
#include "tests/simulation/fiber_switch.h"

namespace latchkey_testing {
namespace {

using latchkey::CsrState;
using latchkey::KeyDigest;
using latchkey::StoreChange;
using latchkey::StoredToken;
using latchkey::TokenRecord;
using latchkey::TokenState;
using latchkey::kubernetes::CertificateSigningRequest;
using latchkey::kubernetes::Secret;

constexpr std::string_view kBootstrapUser = "system:bootstrap:";
// How long a write may be on its way, and be judged by the time before it.
constexpr absl::Duration kOnItsWay = absl::Seconds(30);
// As far as brokers' clocks are apart from the true time, and records' whole
// seconds.
constexpr absl::Duration kWrongClock = absl::Minutes(4);
constexpr absl::Duration kRounding = absl::Seconds(1);
// Of a record that an operator brought from elsewhere (World::Usurp).
const std::string kForeignRequest(64, 'f');

const CertificateSigningRequest& AsCsr(const latchkey::StoredObject& object) {
  return static_cast<const CertificateSigningRequest&>(object->message());
}

bool Has(const CertificateSigningRequest& csr, std::string_view condition) {
  for (const auto& each : csr.status().conditions()) {
    if (each.type() == condition) return true;
  }
  return false;
}

std::multiset<std::string> SetOf(const auto& texts) {
  return {texts.begin(), texts.end()};
}

// What of `csr` does not fit the token's scope; empty: nothing. Written anew,
// so that the approver's rules are judged by other ones.
std::string_view UnfitOf(const CertificateSigningRequest& csr,
                         const TokenRecord& record) {
  const auto& spec = csr.spec();
  const auto request = latchkey::CertificateRequest::Parse(spec.request());
  if (!request.ok()) return "no request";
  if (request->common_names !=
      std::vector<std::string>{"system:node:" + record.scope.node_name}) {
    return "its name";
  }
  if (request->organizations != std::vector<std::string>{"system:nodes"} ||
      request->has_other_subject_attributes) {
    return "its subject";
  }
  if (request->has_subject_alt_name || request->has_other_extensions) {
    return "its extensions";
  }
  auto usages = SetOf(spec.usages());
  usages.erase("key encipherment");
  if (usages !=
      std::multiset<std::string>{"client auth", "digital signature"}) {
    return "its usages";
  }
  auto groups = SetOf(record.groups);
  groups.insert({"system:bootstrappers", "system:authenticated"});
  if (SetOf(spec.groups()) != groups) return "its groups";
  const auto& cap = record.scope.max_certificate_lifetime;
  if (cap.has_value() && (!spec.has_expiration_seconds() ||
                          absl::Seconds(spec.expiration_seconds()) > *cap)) {
    return "its lifetime";
  }
  if (record.BoundKey() != request->key_digest) return "its key";
  return "";
}

// Whether the API server takes the Secret for a token to log in with.
bool LetsLogIn(const Secret& secret) {
  const auto usage = secret.data().find("usage-bootstrap-authentication");
  return usage != secret.data().end() && usage->second == "true";
}

bool IsOver(const TokenRecord& record) {
  return record.state == TokenState::kSpent ||
         record.state == TokenState::kRevoked;
}

bool BeginsWith(std::string_view text, std::string_view with) {
  return text.substr(0, with.size()) == with;
}

// Nobody's order: "latchkey" revokes for misuse only, where the policy says so.
bool IsFreeze(const latchkey::Revocation& revocation) {
  return revocation.who == "latchkey";
}

bool IsForMisuse(const latchkey::Revocation& revocation) {
  constexpr std::string_view kMisuse = "misuse: ";
  return BeginsWith(revocation.why, kMisuse) &&
         MeansMisuse(revocation.why.substr(kMisuse.size()));
}

// Decided, and asking again would change nothing: what was asked is not done.
bool IsRefused(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kFailedPrecondition:
      return true;
    default:
      return false;
  }
}

// The arrows of storage/token_life.h, by their ends.
bool IsArrow(TokenState from, TokenState to) {
  // Extended, or a refused attempt noted: not what is over.
  if (from == to) {
    return from != TokenState::kSpent && from != TokenState::kRevoked;
  }
  switch (from) {
    case TokenState::kIssued:
      return to == TokenState::kActive || to == TokenState::kRevoked;
    case TokenState::kActive:
      return to == TokenState::kReserved || to == TokenState::kRevoked;
    case TokenState::kReserved:
      return to != TokenState::kIssued;
    case TokenState::kSpent:
    case TokenState::kRevoked:
      return false;
  }
  return false;
}

}  // namespace

WriteLog::Call::Call(WriteLog& log, CallKind kind, std::string verb)
    : log_(log),
      kind_(kind),
      verb_(std::move(verb)),
      fiber_(log.scheduler_.CurrentFiber()) {
  const Overlooked overlooked;
  log_.calls_[fiber_].clear();
}

WriteLog::Call::~Call() {
  const Overlooked overlooked;
  log_.calls_.erase(fiber_);
}

void WriteLog::Call::End(const absl::Status& answer) {
  const Overlooked overlooked;
  for (const CallWrite& write : log_.calls_.at(fiber_)) {
    if (kind_ == CallKind::kReads) {
      log_.Complain("a call that only looks wrote something", verb_);
    }
    // If somebody has written since, the refusal may be about that: the answer
    // to the call's own write was lost. The same if its token's time ran out
    // while the broker stood still.
    const Life& life = log_.lives_.at(write.uid);
    const bool is_last = life.written_at == write.revision;
    const bool ran_out =
        latchkey::ReasonOf(answer) == latchkey::reason::kTokenExpired &&
        (!log_.clocks_are_right_ ||
         life.record.ExpiredAt(log_.now_ + kOnItsWay));
    if (IsRefused(answer) && is_last && !ran_out && !write.notes_refusal) {
      log_.Complain("a refused request changed something",
                    fmt::format("{}: {}", verb_, answer.ToString()));
    }
  }
}

const WriteLog::Life* WriteLog::LastLife(const std::string& id) const {
  const auto uid = uid_of_id_.find(id);
  return uid == uid_of_id_.end() ? nullptr : &lives_.at(uid->second);
}

const TokenRecord* WriteLog::LastRecord(const std::string& id) const {
  const Life* life = LastLife(id);
  return life == nullptr ? nullptr : &life->record;
}

const TokenRecord* WriteLog::LastRecordOfNode(
    const std::string& node_name) const {
  const Life* last = nullptr;
  for (const auto& [uid, life] : lives_) {
    if (life.record.scope.node_name == node_name &&
        (last == nullptr || last->created_at < life.created_at)) {
      last = &life;
    }
  }
  return last == nullptr ? nullptr : &last->record;
}

std::optional<absl::Time> WriteLog::CreateTime(const std::string& id) const {
  const Life* life = LastLife(id);
  if (life == nullptr) return std::nullopt;
  return life->create_time;
}

bool WriteLog::WasSpent(const std::string& id) const {
  return std::any_of(lives_.begin(), lives_.end(), [&](const auto& entry) {
    const TokenRecord& record = entry.second.record;
    return record.id.text() == id && record.state == TokenState::kSpent;
  });
}

bool WriteLog::WasRemoved(const std::string& id) const {
  return std::any_of(lives_.begin(), lives_.end(), [&](const auto& entry) {
    return entry.second.record.id.text() == id && entry.second.removed;
  });
}

std::optional<WriteLog::FetchTime> WriteLog::FetchTimeOf(
    const std::string& id) const {
  const Life* life = LastLife(id);
  if (life == nullptr || life->record.state != TokenState::kSpent ||
      !life->record.reservation.has_value()) {
    return std::nullopt;
  }
  const auto csr = csrs_.find(life->record.reservation->csr_uid);
  if (csr == csrs_.end() || !csr->second.certified) return std::nullopt;
  return FetchTime{.from = csr->second.certified_at, .to = life->spent_at};
}

void WriteLog::RevocationAnswered(const latchkey::StoredToken& answer) {
  const std::string& id = answer.record.id.text();
  const auto it = lives_.find(answer.uid);
  if (it == lives_.end() || it->second.record.state != TokenState::kRevoked ||
      answer.record.state != TokenState::kRevoked) {
    return Complain("told to be revoked, and is not", id);
  }
  it->second.cut_off = true;
  for (const std::string& csr : it->second.certified) {
    if (!answer.record.reservation.has_value() ||
        answer.record.reservation->csr_uid != csr) {
      Complain("a revocation does not tell what was signed", id);
    }
  }
}

void WriteLog::AllRevoked(const std::string& node_name, int64_t since) {
  for (const auto& [uid, life] : lives_) {
    if (life.record.scope.node_name == node_name && !life.removed &&
        life.created_at <= since && !IsOver(life.record)) {
      Complain("a revocation left a token", life.record.id.text());
    }
  }
}

bool WriteLog::WasBoundToAnother(const std::string& id,
                                 const KeyDigest& key) const {
  const auto uid = uid_of_id_.find(id);
  if (uid == uid_of_id_.end()) return false;
  const std::set<KeyDigest>& bound = lives_.at(uid->second).bound;
  return bound.size() > bound.count(key);
}

bool WriteLog::HasUnspentCertificate() const {
  return std::any_of(lives_.begin(), lives_.end(), [&](const auto& entry) {
    const Life& life = entry.second;
    const TokenRecord& record = life.record;
    if (record.state != TokenState::kReserved || life.removed) return false;
    const auto csr = csrs_.find(record.reservation->csr_uid);
    // Of one that was deleted nobody can know.
    return csr != csrs_.end() && csr->second.certified && !csr->second.deleted;
  });
}

std::vector<std::string> WriteLog::Secrets() const {
  std::vector<std::string> secrets;
  for (const auto& [uid, life] : lives_) {
    secrets.emplace_back(life.first_secret.Reveal());
    if (life.first_salt.empty()) continue;  // no ticket
    secrets.emplace_back(life.first_salt.Reveal());
  }
  return secrets;
}

void WriteLog::Complain(std::string_view promise, std::string_view whose) {
  violations_.Add(promise, fmt::format("{}, revision {}", whose, revision_));
}

void WriteLog::Record(const StoreChange& change, absl::Time now) {
  revision_ = change.revision;
  now_ = now;
  if (change.plural == "secrets") OnSecret(change);
  if (change.plural == "certificatesigningrequests") OnCsr(change);
  if (change.plural == "nodes") nodes_.insert(change.name.name);
}

absl::StatusOr<latchkey::StoredObject> LoggedStore::Write(
    const latchkey::Resource& resource, const latchkey::ObjectName& name,
    const latchkey::StoredObject& expected,
    std::unique_ptr<google::protobuf::Message> object) {
  const bool is_delete = object == nullptr;
  auto written = inner_.Write(resource, name, expected, std::move(object));
  if (!written.ok()) return written;
  log_.Record({.revision = (*written)->revision(),
               .plural = std::string(resource.plural),
               .name = name,
               .before = expected,
               .after = is_delete ? nullptr : *written},
              clock_.Now());
  on_write_(resource.plural);
  return written;
}

void WriteLog::OnSecret(const StoreChange& change) {
  const latchkey::StoredObject& shown =
      change.after == nullptr ? change.before : change.after;
  const auto& secret = static_cast<const Secret&>(shown->message());
  const auto token = latchkey::ReadWithoutOrigin(secret);
  if (absl::IsFailedPrecondition(token.status())) {
    if (change.before != nullptr && change.after != nullptr) {
      Complain("a Secret that is not ours was written", change.name.name);
    }
    return;
  }
  if (!token.ok()) {
    return Complain("a record makes no sense", token.status().ToString());
  }
  const TokenRecord& record = token->record;
  if (change.after == nullptr) {
    request_uid_.erase(record.request_key);
    Life& life = lives_.at(token->uid);
    CheckRemoval(life);
    life.removed = true;
    life.written_at = revision_;
    return;
  }
  const bool alive = record.state == TokenState::kActive ||
                     record.state == TokenState::kReserved;
  if (keep_texts_) {
    for (const auto& [key, value] : secret.metadata().annotations()) {
      texts_.push_back(value);
    }
    for (const auto& [key, value] : secret.metadata().labels()) {
      texts_.push_back(value);
    }
  }
  if (LetsLogIn(secret) != alive) {
    Complain("a token that cannot be used lets its holder log in",
             record.id.text());
  }
  const auto [it, created] =
      lives_.try_emplace(token->uid, Life{.record = record,
                                          .first_secret = record.secret,
                                          .first_salt = record.ticket_salt,
                                          .approved = {},
                                          .certified = {},
                                          .bound = {},
                                          .created_at = revision_,
                                          .create_time = now_});
  uid_of_id_[record.id.text()] = token->uid;
  if (const auto bound = record.BoundKey()) it->second.bound.insert(*bound);
  NoteWrite(token->uid, created ? nullptr : &it->second.record, record);
  it->second.written_at = revision_;
  if (!created) {
    CheckStep(token->uid, it->second, record);
    it->second.ran_out |= HasRunOut(it->second.record);
    const bool spent = record.state == TokenState::kSpent &&
                       it->second.record.state != TokenState::kSpent;
    if (spent) it->second.spent_at = now_;
    it->second.record = record;
    return;
  }
  CheckMint(token->uid, it->second);
  const auto [request, first] =
      request_uid_.try_emplace(record.request_key, token->uid);
  if (!first) Complain("one request has two Secrets", record.id.text());
}

void WriteLog::NoteWrite(const std::string& uid, const TokenRecord* before,
                         const TokenRecord& next) {
  const auto call = calls_.find(scheduler_.CurrentFiber());
  if (call == calls_.end()) return;
  // CheckNotes() and CheckRevocation() see that it is no more than that.
  const bool notes_refusal =
      before != nullptr &&
      (next.refused != before->refused ||
       (next.revocation.has_value() && IsFreeze(*next.revocation)));
  call->second.push_back({uid, revision_, notes_refusal});
}

void WriteLog::CheckMint(const std::string& uid, const Life& life) {
  const TokenRecord& record = life.record;
  const std::string& id = record.id.text();
  if (record.request_key == kForeignRequest) return;
  if (BeginsWith(record.scope.node_name, kTrialNode)) {
    Complain("what would be issued was issued", id);
  }
  if (record.claim.has_value() || record.reservation.has_value() ||
      record.certificate.has_value() || record.revocation.has_value() ||
      !record.refused.empty()) {
    Complain("a token began in the middle of its life", id);
  }
  const absl::Duration wrong =
      kOnItsWay + (clocks_are_right_ ? kRounding : kWrongClock);
  if (record.expire_time > now_ + max_lifetime_ + wrong) {
    Complain("a token lasts longer than the policy allows", id);
  }
  // Each Node is asked for in one request only, whatever its request_id.
  for (const auto& [other_uid, other] : lives_) {
    if (other_uid != uid && !other.removed &&
        other.record.scope.node_name == record.scope.node_name &&
        other.record.request_key != kForeignRequest) {
      Complain("one item has two Secrets", id);
    }
  }
}

bool WriteLog::HasRunOut(const TokenRecord& record) const {
  return record.ExpiredAt(now_ + (clocks_are_right_ ? kRounding : kWrongClock));
}

// A record stays until its time is over, a tombstone too: by it everybody knows
// what became of the token. Whoever saw that it was over may be on the way when
// it is given more.
void WriteLog::CheckRemoval(const Life& life) {
  const std::string& id = life.record.id.text();
  if (life.ran_out || HasRunOut(life.record) || MayBeDeleted(id)) return;
  Complain(IsOver(life.record) ? "a tombstone was removed before its time"
                               : "a token was removed before its time",
           id);
}

void WriteLog::CheckTerms(const TokenRecord& before, const TokenRecord& next) {
  const std::string& id = next.id.text();
  if (next.scope != before.scope || next.provisioner != before.provisioner) {
    Complain("a token's scope or owner changed", id);
  }
  if (next.groups != before.groups || next.labels != before.labels ||
      next.rule != before.rule || next.delivery != before.delivery ||
      next.request_key != before.request_key ||
      next.request_digest != before.request_digest ||
      next.ticket_digest != before.ticket_digest ||
      next.create_time != before.create_time ||
      next.provisioner_kind != before.provisioner_kind) {
    Complain("a token's terms changed", id);
  }
  const bool same_secrets =
      next.secret.Reveal() == before.secret.Reveal() &&
      next.ticket_salt.Reveal() == before.ticket_salt.Reveal();
  if (!IsOver(next) && !same_secrets) {
    Complain("a token's secrets changed", id);
  }
}

void WriteLog::CheckDeadline(const Life& life, const TokenRecord& next) {
  const TokenRecord& before = life.record;
  if (next.expire_time == before.expire_time) return;
  const std::string& id = next.id.text();
  if (before.state == TokenState::kIssued &&
      next.state == TokenState::kActive) {
    return;  // the claim's own
  }
  if (next.state != before.state || next.claim != before.claim ||
      next.reservation != before.reservation ||
      next.refused != before.refused) {
    return Complain("a deadline moved with another step", id);
  }
  if (next.expire_time < before.expire_time) {
    Complain("an extension shortened", id);
  }
  if (next.expire_time > life.create_time + max_lifetime_ + kRounding) {
    Complain("extended beyond what the policy allows", id);
  }
  if (clocks_are_right_ && before.ExpiredAt(now_ - kOnItsWay)) {
    Complain("extended after its time", id);
  }
}

void WriteLog::CheckNotes(const TokenRecord& before, const TokenRecord& next) {
  if (next.refused == before.refused) return;
  const std::string& id = next.id.text();
  if (next.refused.size() != before.refused.size() + 1 ||
      next.refused.size() > TokenRecord::kMaxRefused) {
    Complain("more than one refused attempt was noted", id);
  }
  if (next.state != before.state || next.claim != before.claim ||
      next.reservation != before.reservation) {
    Complain("a refused attempt did more than be noted", id);
  }
  const latchkey::RefusedAttempt& noted = next.refused.back();
  if (latchkey::IsMisuse(noted.reason)) return;  // before the CSR is denied
  const bool denied =
      std::any_of(csrs_.begin(), csrs_.end(), [&](const auto& csr) {
        return csr.second.denied &&
               latchkey::CsrAttempt(csr.second.name) == noted.by;
      });
  if (!denied) Complain("told as refused what was not denied", id);
  if (next.refused.size() > TokenRecord::kMaxRefusedOtherwise) {
    Complain("a refusal took the room of misuse", id);
  }
}

void WriteLog::CheckRevocation(const TokenRecord& before,
                               const TokenRecord& next) {
  const std::string& id = next.id.text();
  const bool revoked = next.state == TokenState::kRevoked;
  if (next.revocation.has_value() != revoked) {
    return Complain("revoked, and does not say by whom", id);
  }
  if (!revoked) return;
  if (IsFreeze(*next.revocation)) {
    if (!freezes_) Complain("frozen against the policy", id);
    if (!IsForMisuse(*next.revocation)) {
      Complain("frozen for what is no misuse", id);
    }
  } else if (!managers_.contains(next.revocation->who)) {
    Complain("revoked by somebody whose it is not", id);
  }
  if (BeginsWith(next.revocation->why, kTrial)) {
    Complain("what would be revoked was revoked", id);
  }
  if (next.reservation != before.reservation) {
    Complain("a revocation forgot the CSR that has the token", id);
  }
}

void WriteLog::CheckStep(const std::string& uid, const Life& life,
                         const TokenRecord& next) {
  const TokenRecord& before = life.record;
  const std::string& id = next.id.text();
  if (!IsArrow(before.state, next.state)) {
    Complain("a step that is no arrow",
             fmt::format("token {} from {} to {}", id,
                         latchkey::TokenStateName(before.state),
                         latchkey::TokenStateName(next.state)));
  }
  if (before.claim.has_value() && next.claim != before.claim) {
    Complain("another claim took the place of the first", id);
  }
  const auto& only_key = next.scope.key_digest;
  if (only_key.has_value() && next.claim.has_value() &&
      next.claim->key_digest != *only_key) {
    Complain("claimed by another key than it is for", id);
  }
  if (IsOver(next) && (next.secret.Reveal() == life.first_secret.Reveal() ||
                       !next.ticket_salt.empty())) {
    Complain("a token that is over still has its secret", id);
  }
  if (next.certificate.has_value() != (next.state == TokenState::kSpent)) {
    Complain("spent, and does not say on what", id);
  }
  CheckTerms(before, next);
  CheckDeadline(life, next);
  CheckNotes(before, next);
  CheckRevocation(before, next);
  CheckReservation(before, next);
  const bool was_held = before.state == TokenState::kReserved;
  if (was_held && next.state == TokenState::kActive) {
    CheckRelease(uid, before);
  }
  if (was_held && next.state == TokenState::kSpent) {
    CheckSpending(uid, before, next);
  }
}

void WriteLog::CheckReservation(const TokenRecord& before,
                                const TokenRecord& next) {
  if (next.state != TokenState::kReserved) return;
  if (before.state == TokenState::kReserved) {
    if (next.reservation != before.reservation) {
      Complain("another CSR took the place of the first", next.id.text());
    }
    return;
  }
  if (clocks_are_right_ && before.ExpiredAt(now_ - absl::Seconds(1))) {
    Complain("reserved after its time", next.id.text());
  }
  const auto bound = before.BoundKey();
  if (bound.has_value() && next.reservation->key_digest != *bound) {
    Complain("reserved for another key", next.id.text());
  }
}

void WriteLog::CheckRelease(const std::string& uid, const TokenRecord& before) {
  const std::string& csr = before.reservation->csr_uid;
  if (!csrs_[csr].dead) {
    Complain("released from a CSR that may still be signed", before.id.text());
  }
  if (!audit_.Says("token.release", uid, csr)) {
    Complain("released and not audited", before.id.text());
  }
}

void WriteLog::CheckSpending(const std::string& uid, const TokenRecord& before,
                             const TokenRecord& next) {
  const CsrLife& csr = csrs_[before.reservation->csr_uid];
  const std::string& id = next.id.text();
  if (!csr.certified) Complain("spent on a CSR without a certificate", id);
  if (!audit_.SaysSpent(uid, next.certificate->fingerprint)) {
    Complain("spent and not audited", id);
  }
  if (clocks_are_right_ && !nodes_.contains(next.scope.node_name) &&
      now_ < csr.certified_at + fetch_grace_) {
    Complain("spent before its machine had the certificate", id);
  }
}

void WriteLog::OnCsr(const StoreChange& change) {
  if (change.after == nullptr) {
    CsrLife& life = csrs_[AsCsr(change.before).metadata().uid()];
    if (!life.certified) life.dead = true;
    life.deleted = true;
    return;
  }
  const CertificateSigningRequest& csr = AsCsr(change.after);
  CsrLife& life = csrs_[csr.metadata().uid()];
  const std::string_view requester = csr.spec().username();
  if (requester.substr(0, kBootstrapUser.size()) != kBootstrapUser) return;
  life.token_id = requester.substr(kBootstrapUser.size());
  life.name = csr.metadata().name();
  life.dead = latchkey::StateOf(csr) == CsrState::kDead;
  OnVerdict(csr, life);
  if (csr.status().certificate().empty() || life.certified) return;
  life.certified = true;
  life.certified_at = now_;
  ++certificates_;
  const auto token_uid = TokenOf(csr, life);
  if (!token_uid.has_value()) return;  // CheckApproval complained
  Life& token = lives_.at(*token_uid);
  token.certified.insert(csr.metadata().uid());
  if (token.certified.size() > 1) {
    Complain("a token has two certificates", life.token_id);
  }
}

// Another Secret may have taken the name of the one that the CSR has.
std::optional<std::string> WriteLog::TokenOf(const Csr& csr,
                                             const CsrLife& life) const {
  for (const auto& [uid, token] : lives_) {
    const auto& reservation = token.record.reservation;
    if (token.record.id.text() == life.token_id && reservation.has_value() &&
        reservation->csr_uid == csr.metadata().uid()) {
      return uid;
    }
  }
  const auto last = uid_of_id_.find(life.token_id);
  if (last == uid_of_id_.end()) return std::nullopt;
  return last->second;
}

void WriteLog::OnVerdict(const CertificateSigningRequest& csr, CsrLife& life) {
  if (keep_texts_) {
    for (const auto& condition : csr.status().conditions()) {
      texts_.push_back(condition.reason() + " " + condition.message());
    }
  }
  if (Has(csr, "Denied") && !life.denied) {
    life.denied = true;
    if (!audit_.Says("csr.deny", "", csr.metadata().uid())) {
      Complain("denied and not audited", csr.metadata().name());
    }
    for (const auto& condition : csr.status().conditions()) {
      if (MeansMisuse(condition.reason()) &&
          !audit_.SaysMisuse(life.token_id, condition.reason())) {
        Complain("misused and not audited", csr.metadata().name());
      }
    }
    CheckDenial(csr, life);
  }
  if (!Has(csr, "Approved") || life.approved) return;
  life.approved = true;
  ++approvals_;
  CheckApproval(csr, life);
}

// A CSR that is refused has not taken the token. If it has it, it once fitted:
// what refuses it now came after that.
void WriteLog::CheckDenial(const Csr& csr, const CsrLife& life) {
  const Life* token = LastLife(life.token_id);
  if (token == nullptr || token->record.state != TokenState::kReserved ||
      token->record.reservation->csr_uid != csr.metadata().uid()) {
    return;
  }
  const bool came_since = !clocks_are_right_ || token->record.ExpiredAt(now_) ||
                          token->removed ||
                          nodes_.contains(token->record.scope.node_name);
  if (!came_since) {
    Complain("a refused CSR has the token", csr.metadata().name());
  }
}

void WriteLog::CheckApproval(const CertificateSigningRequest& csr,
                             const CsrLife& life) {
  const std::string& csr_uid = csr.metadata().uid();
  const std::string whose =
      fmt::format("token {}, CSR {}", life.token_id, csr.metadata().name());
  const auto uid = TokenOf(csr, life);
  if (!uid.has_value()) return Complain("approved without a record", whose);
  Life& token = lives_.at(*uid);
  for (const std::string& other : token.approved) {
    if (!csrs_[other].dead) Complain("a token has two approvals", whose);
  }
  token.approved.insert(csr_uid);
  if (token.cut_off) Complain("approved after its revocation", whose);
  const TokenRecord& record = token.record;
  if (!record.reservation.has_value() ||
      record.reservation->csr_uid != csr_uid) {
    Complain("approved without the reservation", whose);
  }
  if (!audit_.Says("csr.approve", *uid, csr_uid) ||
      !audit_.Says("token.reserve", *uid, csr_uid)) {
    Complain("approved and not audited", whose);
  }
  const std::string_view unfit = UnfitOf(csr, record);
  if (!unfit.empty()) {
    Complain("approved out of scope", fmt::format("{}: {}", whose, unfit));
  }
}

}  // namespace latchkey_testing
