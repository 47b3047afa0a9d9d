#include "services/record_index.h"

#include <functional>
#include <utility>

#include <absl/status/status.h>
#include <fmt/format.h>

#include "core/execution.h"
#include "core/reasons.h"
#include "core/refusal.h"

namespace latchkey {
namespace {

constexpr size_t kMaxWritten = 10'000;

uint64_t KeyOf(const TokenId& id) {
  uint64_t key = 0;
  for (const char c : id.text()) key = key << 8 | static_cast<unsigned char>(c);
  return key;
}

uint64_t DigestOfKey(std::string_view request_key) {
  return std::hash<std::string_view>()(request_key);
}

bool IsUnused(TokenState state) {
  return state == TokenState::kIssued || state == TokenState::kActive ||
         state == TokenState::kReserved;
}

// Differs between any two states that follow one another in a token's life.
uint64_t LifeOf(const TokenRecord& record) {
  return std::hash<std::string>()(fmt::format(
      "{} {} {} {} {}", TokenStateName(record.state),
      TokenStepName(record.last_step), absl::ToUnixSeconds(record.expire_time),
      record.refused.size(),
      record.reservation.has_value() ? record.reservation->csr_uid : ""));
}

}  // namespace

RecordIndex::Place::Place(Place&& other) noexcept
    : index_(std::exchange(other.index_, nullptr)),
      request_key_(std::move(other.request_key_)) {}

RecordIndex::Place& RecordIndex::Place::operator=(Place&& other) noexcept {
  if (this == &other) return *this;
  if (index_ != nullptr) index_->GiveBack(request_key_);
  index_ = std::exchange(other.index_, nullptr);
  request_key_ = std::move(other.request_key_);
  return *this;
}

RecordIndex::Place::~Place() {
  if (index_ != nullptr) index_->GiveBack(request_key_);
}

void RecordIndex::Place::Keep() {
  if (index_ == nullptr) return;
  index_->KeepPlace(request_key_);
  index_ = nullptr;
}

absl::StatusOr<RecordIndex::Place> RecordIndex::Take(
    const Quota& quota, const TokenId& id, std::string_view request_key,
    absl::Time now) {
  std::string request(request_key);
  const MutexLock lock(mutex_);
  if (!fresh_) {
    return WithRetryAfter(
        Refuse(absl::StatusCode::kUnavailable, reason::kClusterUnavailable,
               "the broker does not know yet how many tokens are unused; "
               "try again"),
        absl::Seconds(1));
  }
  ForgetUnseen(now);
  const auto token = tokens_.find(KeyOf(id));
  if (token != tokens_.end() && token->second.request == DigestOfKey(request) &&
      IsUnused(token->second.state) &&
      token->second.expires > absl::ToUnixSeconds(now)) {
    return Place();
  }
  const auto it =
      provisioners_.try_emplace(std::string(quota.provisioner)).first;
  Provisioner& provisioner = it->second;
  Sweep(provisioner, now);
  const auto taken = taken_.find(request);
  const size_t used = provisioner.unused.size() + provisioner.places;
  if (taken == taken_.end() &&
      used >= static_cast<size_t>(quota.max_outstanding)) {
    ForgetIfEmpty(it);
    return Refuse(
        absl::StatusCode::kResourceExhausted, reason::kQuotaOutstanding,
        fmt::format("{} tokens are unused; policy rule '{}' allows {}", used,
                    quota.rule, quota.max_outstanding),
        {{"rule", std::string(quota.rule)},
         {"limit", std::to_string(quota.max_outstanding)},
         {"used", std::to_string(used)}});
  }
  if (taken == taken_.end()) {
    ++provisioner.places;
    taken_[request] = {.provisioner = std::string(quota.provisioner),
                       .users = 0,
                       .kept = false,
                       .forget_at = now + kMaxUnseen};
  }
  ++taken_[request].users;
  return Place(*this, std::move(request));
}

void RecordIndex::Written(const TokenId& id) {
  if (seen_ == nullptr) return;
  const uint64_t key = KeyOf(id);
  const MutexLock lock(mutex_);
  if (tokens_.contains(key)) {
    seen_(absl::ZeroDuration());  // the watch was faster than the answer
    return;
  }
  // Of a token that is removed while nobody watches nothing is ever shown.
  if (written_.size() >= kMaxWritten) written_.clear();
  written_[key] = ExecutionNow();
}

RecordIndex::Counts RecordIndex::CountsByState() const {
  const MutexLock lock(mutex_);
  return counts_;
}

size_t RecordIndex::Unused(std::string_view provisioner, absl::Time now) {
  const MutexLock lock(mutex_);
  const auto it = provisioners_.find(provisioner);
  if (it == provisioners_.end()) return 0;
  Sweep(it->second, now);
  return it->second.unused.size();
}

void RecordIndex::Replace(const std::vector<StoredToken>& tokens) {
  const MutexLock lock(mutex_);
  while (!tokens_.empty()) RemoveKey(tokens_.begin()->first);
  for (const StoredToken& token : tokens) NoteLocked(token.record);
}

bool RecordIndex::Note(const TokenRecord& record) {
  const MutexLock lock(mutex_);
  return NoteLocked(record);
}

void RecordIndex::Remove(const TokenId& id) {
  const MutexLock lock(mutex_);
  RemoveKey(KeyOf(id));
}

void RecordIndex::SetFresh(bool fresh) {
  const MutexLock lock(mutex_);
  fresh_ = fresh;
}

bool RecordIndex::fresh() const {
  const MutexLock lock(mutex_);
  return fresh_;
}

bool RecordIndex::NoteLocked(const TokenRecord& record) {
  const uint64_t key = KeyOf(record.id);
  // The token takes its own place now.
  DropTaken(record.request_key);
  if (const auto it = written_.find(key); it != written_.end()) {
    seen_(ExecutionNow() - it->second);
    written_.erase(it);
  }
  const uint64_t life = LifeOf(record);
  const auto known = tokens_.find(key);
  if (known != tokens_.end() && known->second.life == life) return false;
  RemoveKey(key);
  const Token token{
      .provisioner = provisioners_.try_emplace(record.provisioner).first,
      .expires = absl::ToUnixSeconds(record.expire_time),
      .life = life,
      .request = DigestOfKey(record.request_key),
      .state = record.state};
  tokens_.emplace(key, token);
  Count(token, true);
  return true;
}

void RecordIndex::Count(const Token& token, bool add) {
  Provisioner& provisioner = token.provisioner->second;
  size_t& count = counts_[static_cast<size_t>(token.state)];
  count = add ? count + 1 : count - 1;
  provisioner.tokens = add ? provisioner.tokens + 1 : provisioner.tokens - 1;
  if (!IsUnused(token.state) || token.expires <= provisioner.swept) return;
  if (add) {
    provisioner.unused.insert(token.expires);
  } else {
    provisioner.unused.erase(provisioner.unused.find(token.expires));
  }
}

void RecordIndex::RemoveKey(uint64_t key) {
  const auto it = tokens_.find(key);
  if (it == tokens_.end()) return;
  const auto provisioner = it->second.provisioner;
  Count(it->second, false);
  tokens_.erase(it);
  ForgetIfEmpty(provisioner);
}

void RecordIndex::Sweep(Provisioner& provisioner, absl::Time now) {
  const int64_t until = absl::ToUnixSeconds(now);
  if (until <= provisioner.swept) return;
  provisioner.swept = until;
  provisioner.unused.erase(provisioner.unused.begin(),
                           provisioner.unused.upper_bound(until));
}

void RecordIndex::ForgetIfEmpty(Provisioners::iterator it) {
  if (it->second.tokens == 0 && it->second.places == 0) provisioners_.erase(it);
}

void RecordIndex::DropTaken(const std::string& request_key) {
  const auto it = taken_.find(request_key);
  if (it == taken_.end()) return;
  const auto provisioner = provisioners_.find(it->second.provisioner);
  taken_.erase(it);
  --provisioner->second.places;
  ForgetIfEmpty(provisioner);
}

void RecordIndex::ForgetUnseen(absl::Time now) {
  std::vector<std::string> unseen;
  for (const auto& [request_key, taken] : taken_) {
    if (taken.users == 0 && taken.forget_at <= now) {
      unseen.push_back(request_key);
    }
  }
  for (const std::string& request_key : unseen) DropTaken(request_key);
}

void RecordIndex::GiveBack(const std::string& request_key) {
  const MutexLock lock(mutex_);
  const auto it = taken_.find(request_key);
  if (it == taken_.end()) return;  // the watch has shown it
  if (--it->second.users <= 0 && !it->second.kept) DropTaken(request_key);
}

void RecordIndex::KeepPlace(const std::string& request_key) {
  const MutexLock lock(mutex_);
  const auto it = taken_.find(request_key);
  if (it == taken_.end()) return;  // the watch has shown it
  --it->second.users;
  it->second.kept = true;
}

}  // namespace latchkey
