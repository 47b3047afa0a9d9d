#include "services/event_merge.h"

#include <algorithm>
#include <utility>

#include "services/csr_rules.h"

namespace latchkey {
namespace {

using kubernetes::CertificateSigningRequest;

constexpr size_t kMaxOver = 4096;
constexpr char kOurReason[] = "LatchkeyApproved";

const kubernetes::CertificateSigningRequestCondition* ApprovalOf(
    const CertificateSigningRequest& csr) {
  for (const auto& condition : csr.status().conditions()) {
    if (condition.type() == "Approved") return &condition;
  }
  return nullptr;
}

}  // namespace

void EventMerge::AddRecord(uint64_t version,
                           std::shared_ptr<const TokenEvent> event) {
  records_.push_back({.version = version, .event = std::move(event)});
}

void EventMerge::AddCsr(uint64_t version,
                        const CertificateSigningRequest& csr) {
  CsrItem item{.version = version, .approved_uid = {}};
  if (const auto* approval = ApprovalOf(csr)) {
    item.approved_uid = csr.metadata().uid();
    item.ours = approval->reason() == kOurReason;
    item.unsigned_yet = StateOf(csr) == CsrState::kApproved;
    approvals_waiting_.insert(item.approved_uid);
  }
  csrs_.push_back(std::move(item));
}

void EventMerge::AddCsrVersion(uint64_t version) {
  csrs_.push_back({.version = version, .approved_uid = {}});
}

void EventMerge::RecordsListed(const std::vector<StoredToken>& tokens) {
  records_.clear();
  records_held_since_ = absl::InfiniteFuture();
  holders_.clear();
  over_.clear();
  const std::map<std::string, Held> before = std::exchange(held_, {});
  for (const StoredToken& token : tokens) {
    if (token.record.state != TokenState::kReserved) continue;
    Learn(std::make_shared<const TokenEvent>(EventOfWrite(token.record)));
    const std::string& uid = token.record.reservation->csr_uid;
    const auto known = before.find(uid);
    const bool told =
        listed_approved_.contains(uid) ||
        (known != before.end() && known->second.approval == Approval::kTold);
    held_[uid].approval = told ? Approval::kTold : Approval::kMaybe;
  }
  listed_approved_.clear();
}

void EventMerge::CsrsListed(
    const std::vector<CertificateSigningRequest>& csrs) {
  csrs_.clear();
  approvals_waiting_.clear();
  csrs_held_since_ = absl::InfiniteFuture();
  listed_approved_.clear();
  for (auto& [uid, held] : held_) {
    if (held.approval == Approval::kToCome) held.approval = Approval::kMaybe;
  }
  for (const CertificateSigningRequest& csr : csrs) {
    if (ApprovalOf(csr) == nullptr) continue;
    const std::string& uid = csr.metadata().uid();
    const auto held = held_.find(uid);
    if (held != held_.end()) held->second.approval = Approval::kTold;
    listed_approved_.insert(uid);
  }
}

void EventMerge::Drain(absl::Time now, std::vector<VersionedEvent>& out,
                       EventCut& told) {
  bool moved = true;
  while (moved) {
    moved = false;
    const auto tell = [&](absl::Time& since, const auto& tell_one) {
      // Once over, until all is told: what comes next has waited as long.
      const bool over = now - since >= patience_;
      while (tell_one(over ? Patience::kOver : Patience::kWait)) {
        moved = true;
        if (!over) since = absl::InfiniteFuture();
      }
    };
    tell(records_held_since_,
         [&](Patience patience) { return TellRecord(patience, out, told); });
    tell(csrs_held_since_,
         [&](Patience patience) { return TellCsr(patience, {}, out, told); });
  }
  records_held_since_ = records_.empty() ? absl::InfiniteFuture()
                                         : std::min(records_held_since_, now);
  csrs_held_since_ =
      csrs_.empty() ? absl::InfiniteFuture() : std::min(csrs_held_since_, now);
}

void EventMerge::Finish(const Reservations& known,
                        std::vector<VersionedEvent>& out, EventCut& told) {
  while (holding()) {
    while (TellRecord(Patience::kWait, out, told) ||
           TellCsr(Patience::kWait, {}, out, told)) {
    }
    // An approval first: what it waits for was written before it, so it is
    // not behind the join that waits for an approval.
    if (!TellCsr(Patience::kOver, known, out, told)) {
      TellRecord(Patience::kOver, out, told);
    }
  }
}

bool EventMerge::TellRecord(Patience patience, std::vector<VersionedEvent>& out,
                            EventCut& told) {
  if (records_.empty()) return false;
  const RecordItem& item = records_.front();
  if (item.event != nullptr) {
    const auto& reservation = item.event->record.reservation;
    if (item.event->type == TokenEventType::kJoined &&
        reservation.has_value() && patience == Patience::kWait) {
      const std::string& uid = reservation->csr_uid;
      const auto held = held_.find(uid);
      const Approval approval =
          held == held_.end() ? Approval::kMaybe : held->second.approval;
      const bool to_come =
          approval == Approval::kToCome ||
          (approval == Approval::kMaybe && approvals_waiting_.contains(uid));
      if (to_come) return false;
    }
    out.push_back({EventSource::kRecords, item.version, item.event});
    // Of a tombstone that goes, all was told when it became one.
    if (item.event->type == TokenEventType::kRemoved) {
      LetGo(item.event->record.id);
    } else {
      Learn(item.event);
    }
  }
  told.records = std::max(told.records, item.version);
  records_.pop_front();
  return true;
}

bool EventMerge::TellCsr(Patience patience, const Reservations& known,
                         std::vector<VersionedEvent>& out, EventCut& told) {
  if (csrs_.empty()) return false;
  const CsrItem& item = csrs_.front();
  const std::string& uid = item.approved_uid;
  if (!uid.empty()) {
    const auto held = held_.find(uid);
    std::shared_ptr<const TokenEvent> record;
    if (held != held_.end()) {
      // Signed, and we never saw it unsigned: it was approved before all that
      // we are told of.
      if (held->second.approval != Approval::kTold && item.unsigned_yet) {
        record = held->second.event;
      }
      held->second.approval = Approval::kTold;
    } else if (item.ours && item.unsigned_yet) {
      if (patience == Patience::kWait) return false;
      record = Find(uid, known);
      if (record != nullptr) {
        Learn(record);
        held_[uid].approval = Approval::kTold;
      }
    }
    if (record != nullptr) {
      out.push_back({EventSource::kCsrs, item.version,
                     std::make_shared<const TokenEvent>(
                         EventOfApproval(record->record))});
    }
    approvals_waiting_.erase(approvals_waiting_.find(uid));
  }
  told.csrs = std::max(told.csrs, item.version);
  csrs_.pop_front();
  return true;
}

void EventMerge::Learn(const std::shared_ptr<const TokenEvent>& event) {
  const TokenRecord& record = event->record;
  const bool holds = record.state == TokenState::kReserved &&
                     event->type != TokenEventType::kExpired;
  std::string uid;
  if (record.reservation.has_value()) {
    uid = record.reservation->csr_uid;
    const auto [it, is_new] = held_.try_emplace(uid);
    Held& held = it->second;
    held.event = event;
    if (event->type == TokenEventType::kReserved &&
        held.approval == Approval::kMaybe) {
      held.approval = Approval::kToCome;
    }
    // Nothing will be heard of it that would let go of it.
    if (is_new && !holds) Outlive(uid);
  }
  if (holds) {
    std::string& holder = holders_[record.id];
    if (!holder.empty() && holder != uid) Outlive(std::move(holder));
    holder = std::move(uid);
  } else {
    LetGo(record.id);
  }
}

void EventMerge::LetGo(const TokenId& id) {
  const auto holder = holders_.find(id);
  if (holder == holders_.end()) return;
  Outlive(std::move(holder->second));
  holders_.erase(holder);
}

void EventMerge::Outlive(std::string uid) {
  over_.push_back(std::move(uid));
  if (over_.size() <= kMaxOver) return;
  held_.erase(over_.front());
  over_.pop_front();
}

std::shared_ptr<const TokenEvent> EventMerge::Find(
    const std::string& uid, const Reservations& known) const {
  for (const RecordItem& item : records_) {
    if (item.event == nullptr) continue;
    const auto& reservation = item.event->record.reservation;
    if (reservation.has_value() && reservation->csr_uid == uid) {
      return item.event;
    }
  }
  const auto it = known.find(uid);
  return it == known.end() ? nullptr : it->second;
}

Reservations EventMerge::Known() const {
  Reservations known;
  for (const auto& [uid, held] : held_) known.emplace(uid, held.event);
  return known;
}

}  // namespace latchkey
