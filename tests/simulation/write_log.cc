#include "tests/simulation/write_log.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "crypto/certificate_request.h"
#include "services/csr_rules.h"
#include "storage/token_secret.h"

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

// The arrows of storage/token_life.h, by their ends.
bool IsArrow(TokenState from, TokenState to) {
  if (from == to) return true;  // extended, or a misuse noted
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

const TokenRecord* WriteLog::LastRecord(const std::string& id) const {
  const auto uid = uid_of_id_.find(id);
  return uid == uid_of_id_.end() ? nullptr : &lives_.at(uid->second).record;
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
    lives_.at(token->uid).removed = true;
    return;
  }
  const bool alive = record.state == TokenState::kActive ||
                     record.state == TokenState::kReserved;
  if (LetsLogIn(secret) != alive) {
    Complain("a token that cannot be used lets its holder log in",
             record.id.text());
  }
  const auto [it, created] =
      lives_.try_emplace(token->uid, Life{.record = record,
                                          .first_secret = record.secret,
                                          .approved = {},
                                          .certified = {},
                                          .bound = {}});
  uid_of_id_[record.id.text()] = token->uid;
  if (const auto bound = record.BoundKey()) it->second.bound.insert(*bound);
  if (!created) {
    CheckStep(token->uid, it->second, record);
    it->second.record = record;
    return;
  }
  const auto [request, first] =
      request_uid_.try_emplace(record.request_key, token->uid);
  if (!first) Complain("one request has two Secrets", record.id.text());
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
  if (next.scope != before.scope || next.provisioner != before.provisioner) {
    Complain("a token's scope or owner changed", id);
  }
  const bool over =
      next.state == TokenState::kSpent || next.state == TokenState::kRevoked;
  if (over && next.secret.Reveal() == life.first_secret.Reveal()) {
    Complain("a token that is over still has its secret", id);
  }
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
  life.dead = latchkey::StateOf(csr) == CsrState::kDead;
  OnVerdict(csr, life);
  if (csr.status().certificate().empty() || life.certified) return;
  life.certified = true;
  life.certified_at = now_;
  ++certificates_;
  const auto uid = uid_of_id_.find(life.token_id);
  if (uid == uid_of_id_.end()) return;  // CheckApproval complained
  Life& token = lives_.at(uid->second);
  token.certified.insert(csr.metadata().uid());
  if (token.certified.size() > 1) {
    Complain("a token has two certificates", life.token_id);
  }
}

void WriteLog::OnVerdict(const CertificateSigningRequest& csr, CsrLife& life) {
  if (Has(csr, "Denied") && !life.denied) {
    life.denied = true;
    if (!audit_.Says("csr.deny", "", csr.metadata().uid())) {
      Complain("denied and not audited", csr.metadata().name());
    }
  }
  if (!Has(csr, "Approved") || life.approved) return;
  life.approved = true;
  ++approvals_;
  CheckApproval(csr, life);
}

void WriteLog::CheckApproval(const CertificateSigningRequest& csr,
                             const CsrLife& life) {
  const std::string& csr_uid = csr.metadata().uid();
  const std::string whose =
      fmt::format("token {}, CSR {}", life.token_id, csr.metadata().name());
  const auto uid = uid_of_id_.find(life.token_id);
  if (uid == uid_of_id_.end()) {
    return Complain("approved without a record", whose);
  }
  Life& token = lives_.at(uid->second);
  for (const std::string& other : token.approved) {
    if (!csrs_[other].dead) Complain("a token has two approvals", whose);
  }
  token.approved.insert(csr_uid);
  const TokenRecord& record = token.record;
  if (!record.reservation.has_value() ||
      record.reservation->csr_uid != csr_uid) {
    Complain("approved without the reservation", whose);
  }
  if (!audit_.Says("csr.approve", uid->second, csr_uid) ||
      !audit_.Says("token.reserve", uid->second, csr_uid)) {
    Complain("approved and not audited", whose);
  }
  const std::string_view unfit = UnfitOf(csr, record);
  if (!unfit.empty()) {
    Complain("approved out of scope", fmt::format("{}: {}", whose, unfit));
  }
}

}  // namespace latchkey_testing
