#include "server/policy_reload.h"

#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "clients/log/event_log.h"
#include "core/config_reader.h"
#include "core/status_macros.h"
#include "crypto/digest.h"
#include "server/broker_config.h"

namespace latchkey {
namespace {

using FieldTexts = std::map<std::string, std::string>;

constexpr size_t kDigestLength = 16;

bool IsPolicyField(std::string_view field) {
  return field == "policy" || field == "policy_tests";
}

// Empty if `text` is no configuration.
FieldTexts FieldTextsOf(const std::string& path, const std::string& text) {
  const auto document = ConfigDocument::Parse(path, text);
  return document.ok() ? (*document)->root().FieldTexts() : FieldTexts();
}

std::string TextOf(const FieldTexts& fields, const std::string& field) {
  const auto it = fields.find(field);
  return it == fields.end() ? "" : it->second;
}

std::string PolicyDigest(const FieldTexts& fields) {
  return DigestOfParts("latchkey policy v1", {TextOf(fields, "policy"),
                                              TextOf(fields, "policy_tests")})
      .substr(0, kDigestLength);
}

// The fields beside the policy that differ.
std::vector<std::string> OtherChanges(const FieldTexts& before,
                                      const FieldTexts& after) {
  FieldTexts all = before;
  all.insert(after.begin(), after.end());
  std::vector<std::string> changed;
  for (const auto& [field, text] : all) {
    if (!IsPolicyField(field) &&
        TextOf(before, field) != TextOf(after, field)) {
      changed.push_back(field);
    }
  }
  return changed;
}

}  // namespace

PolicyReload::PolicyReload(std::string path, const std::string& text,
                           const FileStamp& stamp,
                           AuthenticationConfig authentication,
                           LivePolicy& policy, const Clock& clock)
    : path_(std::move(path)),
      policy_(policy),
      clock_(clock),
      at_start_(FieldTextsOf(path_, text)),
      authentication_(std::move(authentication)),
      last_read_(at_start_),
      read_(stamp),
      changed_at_(clock.Now()) {
  const MutexLock lock(mutex_);
  counts_.loaded_at = clock.Now();
  counts_.digest = PolicyDigest(at_start_);
}

void PolicyReload::NoteRefusal(const absl::Status& status) {
  LogEvent(LogLevel::kError, "policy not reloaded",
           {{"file", path_},
            {"in_use", counts().digest},
            {"mistakes", std::string(status.message())}});
  {
    const MutexLock lock(mutex_);
    ++counts_.refused;
    counts_.current = false;
  }
  Tell(false);
}

void PolicyReload::Observe(Observer observer) {
  observer_ = std::move(observer);
  Tell(true);
}

void PolicyReload::Tell(bool in_use) const {
  if (observer_ != nullptr) observer_(in_use, counts().digest);
}

absl::Status PolicyReload::TakeOver() {
  LATCHKEY_ASSIGN_OR_RETURN(const std::string text,
                            ReadFileBounded(path_, ConfigDocument::kMaxBytes));
  LATCHKEY_ASSIGN_OR_RETURN(BrokerConfig config,
                            ParseBrokerConfig(path_, text));
  FieldTexts fields = FieldTextsOf(path_, text);
  if (TextOf(at_start_, "authentication") != TextOf(fields, "authentication")) {
    const auto judged = ParseBrokerConfig(path_, text, &authentication_);
    if (!judged.ok()) {
      return absl::InvalidArgumentError(fmt::format(
          "{}\n`authentication` has changed too, which takes a restart; the "
          "policy is judged by the one in force",
          std::string(judged.status().message())));
    }
  }
  Use(Policy(std::move(config.policy)), PolicyDigest(fields));
  NoteOtherChanges(std::move(fields));
  return absl::OkStatus();
}

void PolicyReload::Use(Policy policy, const std::string& digest) {
  const std::string was = counts().digest;
  const bool differs = digest != was;
  if (differs) policy_.Replace(std::move(policy));
  LogEvent(LogLevel::kInfo, differs ? "policy reloaded" : "policy unchanged",
           {{"file", path_}, {"digest", digest}, {"was", was}});
  {
    const MutexLock lock(mutex_);
    counts_.current = true;
    if (!differs) return;
    ++counts_.reloaded;
    counts_.loaded_at = clock_.Now();
    counts_.digest = digest;
  }
  Tell(true);
}

// Told again only when something of it changes again.
void PolicyReload::NoteOtherChanges(FieldTexts fields) {
  const std::vector<std::string> others = OtherChanges(at_start_, fields);
  if (!others.empty() && !OtherChanges(last_read_, fields).empty()) {
    LogEvent(LogLevel::kWarning, "changes that need a restart",
             {{"file", path_},
              {"fields", fmt::format("{}", fmt::join(others, ", "))}});
  }
  last_read_ = std::move(fields);
}

absl::Status PolicyReload::Reload() {
  // Before the file is read: what changes meanwhile is found by the next Poll.
  const absl::StatusOr<FileStamp> stamp = StampOfFile(path_);
  if (stamp.ok()) read_ = *stamp;
  changed_.reset();
  absl::Status status = TakeOver();
  if (!status.ok()) NoteRefusal(status);
  return status;
}

void PolicyReload::Poll() {
  const absl::StatusOr<FileStamp> stamp = StampOfFile(path_);
  if (!stamp.ok()) {
    // Once, until it is back: a file may be away for a moment.
    if (!std::exchange(unreadable_, true)) NoteRefusal(stamp.status());
    return;
  }
  if (std::exchange(unreadable_, false)) read_.reset();
  if (read_ == *stamp) {
    changed_.reset();
    return;
  }
  const absl::Time now = clock_.Now();
  if (changed_ != *stamp) {
    changed_ = *stamp;
    changed_at_ = now;
  }
  if (now - changed_at_ < kSettle) return;
  static_cast<void>(Reload());  // it logs
}

PolicyReload::Counts PolicyReload::counts() const {
  const MutexLock lock(mutex_);
  return counts_;
}

}  // namespace latchkey
