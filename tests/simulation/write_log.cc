#include "tests/simulation/write_log.h"

#include <utility>

#include <fmt/format.h>

#include "services/csr_rules.h"
#include "storage/token_secret.h"

namespace latchkey_testing {
namespace {

using latchkey::CsrState;
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

bool IsApproved(const CertificateSigningRequest& csr) {
  for (const auto& condition : csr.status().conditions()) {
    if (condition.type() == "Approved") return true;
  }
  return false;
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

void WriteLog::Violation(std::string what) {
  violations_.push_back(fmt::format("revision {}: {}", revision_, what));
}

void WriteLog::Record(const StoreChange& change) {
  revision_ = change.revision;
  if (change.plural == "secrets") OnSecret(change);
  if (change.plural == "certificatesigningrequests") OnCsr(change);
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
               .after = is_delete ? nullptr : *written});
  return written;
}

void WriteLog::OnSecret(const StoreChange& change) {
  const latchkey::StoredObject& shown =
      change.after == nullptr ? change.before : change.after;
  const auto token =
      latchkey::ReadTokenSecret(static_cast<const Secret&>(shown->message()));
  if (absl::IsFailedPrecondition(token.status())) return;
  if (!token.ok()) return Violation(token.status().ToString());
  const TokenRecord& record = token->record;
  if (change.after == nullptr) {
    request_uid_.erase(record.request_key);
    return;
  }
  const auto [it, created] = lives_.try_emplace(
      token->uid, Life{.record = record, .approved = {}, .certified = {}});
  uid_of_id_[record.id.text()] = token->uid;
  if (!created) {
    CheckStep(it->second, record);
    it->second.record = record;
    return;
  }
  // One request, one Secret.
  const auto [request, first] =
      request_uid_.try_emplace(record.request_key, token->uid);
  if (!first) {
    Violation(fmt::format("token {}: a second Secret of one request",
                          record.id.text()));
  }
}

void WriteLog::CheckStep(const Life& life, const TokenRecord& next) {
  const TokenRecord& before = life.record;
  const auto complain = [&](std::string_view what) {
    Violation(fmt::format("token {}: {}", next.id.text(), what));
  };
  if (!IsArrow(before.state, next.state)) {
    complain(fmt::format("no arrow from {} to {}",
                         latchkey::TokenStateName(before.state),
                         latchkey::TokenStateName(next.state)));
  }
  if (before.claim.has_value() && next.claim != before.claim) {
    complain("another claim took the place of the first");
  }
  if (next.scope != before.scope || next.provisioner != before.provisioner) {
    complain("its scope or owner changed");
  }
  const bool was_held = before.state == TokenState::kReserved;
  if (was_held && next.state == TokenState::kActive &&
      !csrs_[before.reservation->csr_uid].dead) {
    complain("released from a CSR that may still be signed");
  }
  if (was_held && next.state == TokenState::kReserved &&
      next.reservation != before.reservation) {
    complain("another CSR took the place of the first");
  }
  if (next.state == TokenState::kSpent && was_held &&
      !csrs_[before.reservation->csr_uid].certified) {
    complain("spent on a CSR without a certificate");
  }
}

void WriteLog::OnCsr(const StoreChange& change) {
  if (change.after == nullptr) {
    CsrLife& life = csrs_[AsCsr(change.before).metadata().uid()];
    if (!life.certified) life.dead = true;
    return;
  }
  const CertificateSigningRequest& csr = AsCsr(change.after);
  CsrLife& life = csrs_[csr.metadata().uid()];
  const std::string_view requester = csr.spec().username();
  if (requester.substr(0, kBootstrapUser.size()) != kBootstrapUser) return;
  life.token_id = requester.substr(kBootstrapUser.size());
  life.dead = latchkey::StateOf(csr) == CsrState::kDead;
  if (IsApproved(csr) && !life.approved) {
    life.approved = true;
    ++approvals_;
    CheckApproval(csr, life);
  }
  if (!csr.status().certificate().empty() && !life.certified) {
    life.certified = true;
    ++certificates_;
    const auto uid = uid_of_id_.find(life.token_id);
    if (uid == uid_of_id_.end()) return;  // CheckApproval complained
    Life& token = lives_.at(uid->second);
    token.certified.insert(csr.metadata().uid());
    if (token.certified.size() > 1) {
      Violation(fmt::format("token {}: a second certificate", life.token_id));
    }
  }
}

void WriteLog::CheckApproval(const CertificateSigningRequest& csr,
                             const CsrLife& life) {
  const auto complain = [&](std::string_view what) {
    Violation(fmt::format("token {}, CSR {}: {}", life.token_id,
                          csr.metadata().name(), what));
  };
  const auto uid = uid_of_id_.find(life.token_id);
  if (uid == uid_of_id_.end()) return complain("approved without a record");
  Life& token = lives_.at(uid->second);
  for (const std::string& other : token.approved) {
    if (!csrs_[other].dead) complain("a second approval");
  }
  token.approved.insert(csr.metadata().uid());
  const TokenRecord& record = token.record;
  if (!record.reservation.has_value() ||
      record.reservation->csr_uid != csr.metadata().uid()) {
    complain("approved without the reservation");
  }
  const auto request =
      latchkey::CheckRequest(csr.spec().request(), record.scope.node_name);
  if (!request.ok()) {
    complain("approved out of scope: " + request.status().ToString());
  } else if (record.BoundKey() != request->key_digest) {
    complain("approved for another key");
  }
}

}  // namespace latchkey_testing
