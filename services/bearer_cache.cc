#include "services/bearer_cache.h"

#include <algorithm>
#include <utility>

#include <absl/status/status.h>

#include "core/execution.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "crypto/digest.h"

namespace latchkey {
namespace {

// The API server may refuse us; that says nothing about the token.
bool IsRefusal(const absl::Status& status) {
  return absl::IsUnauthenticated(status) &&
         ReasonOf(status) == reason::kUnauthenticated;
}

}  // namespace

std::optional<absl::StatusOr<TimedIdentity>> BearerCache::Known(
    std::string_view token) {
  const std::string digest = Sha256(token);
  const MutexLock lock(mutex_);
  return Find(digest);
}

std::optional<BearerCache::Answer> BearerCache::Find(
    const std::string& digest) {
  for (const Entries* entries : {&good_, &refused_}) {
    const auto it = entries->find(digest);
    if (it != entries->end() && IsFresh(it->second)) {
      return it->second.answer;
    }
  }
  return std::nullopt;
}

bool BearerCache::IsFresh(const Entry& entry) const {
  return clock_.Now() < entry.until && ExecutionNow() < entry.at_most;
}

absl::StatusOr<TimedIdentity> BearerCache::IdentityOf(
    std::string_view token,
    const std::function<absl::StatusOr<TimedIdentity>()>& verify) {
  const std::string digest = Sha256(token);
  std::shared_ptr<Question> question;
  {
    const MutexLock lock(mutex_);
    if (auto known = Find(digest)) return *std::move(known);
    const auto [it, first] = open_.try_emplace(digest);
    if (!first) {
      question = it->second;
      while (!question->answer.has_value()) answered_.Wait(mutex_);
      return *question->answer;
    }
    question = it->second = std::make_shared<Question>();
  }
  Answer answer = verify();
  const MutexLock lock(mutex_);
  if (answer.ok()) {
    answer->expires = std::min(clock_.Now() + kGoodFor, answer->expires);
  }
  Remember(digest, answer);
  open_.erase(digest);
  question->answer = std::move(answer);
  answered_.SignalAll();
  return *question->answer;
}

void BearerCache::Remember(const std::string& digest, const Answer& answer) {
  if (!answer.ok() && !IsRefusal(answer.status())) return;
  Entries& entries = answer.ok() ? good_ : refused_;
  if (entries.size() >= kMaxKnown) {
    std::erase_if(entries,
                  [this](const auto& entry) { return !IsFresh(entry.second); });
  }
  if (entries.size() >= kMaxKnown) entries.clear();
  const absl::Duration longest = answer.ok() ? kGoodFor : kRefusedFor;
  const absl::Time end = clock_.Now() + longest;
  entries.insert_or_assign(digest,
                           Entry{.answer = answer,
                                 .until = answer.ok() ? answer->expires : end,
                                 .at_most = ExecutionNow() + longest});
}

}  // namespace latchkey
