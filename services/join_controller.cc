#include "services/join_controller.h"

#include <optional>
#include <string>
#include <utility>

#include "clients/log/event_log.h"
#include "services/watch_targets.h"

namespace latchkey {
namespace {

// One group a token: its work is done in order and in turn with the others'.
WorkSchedule::Item ItemOf(const TokenId& id) {
  return {.group = id.text(), .key = id.text()};
}

ReflectorLoop::Options OptionsFor(WatchTarget what) {
  return {.name_space = std::move(what.name_space),
          .label_selector = std::move(what.label_selector),
          .field_selector = std::move(what.field_selector)};
}

// Nothing, and a line in the log, if it is not as we write records.
std::optional<StoredToken> ReadRecord(const kubernetes::Secret& secret) {
  auto token = ReadWithoutOrigin(secret);
  if (token.ok()) return *std::move(token);
  LogEvent(LogLevel::kWarning, "record altered",
           {{"status", token.status().ToString()}});
  return std::nullopt;
}

}  // namespace

JoinController::JoinController(Options options, KubernetesClient& client,
                               CsrApprover& approver, TokenUpkeep& upkeep,
                               RecordIndex& index, TokenEvents& events,
                               const Clock& clock)
    : options_(options),
      approver_(approver),
      upkeep_(upkeep),
      index_(index),
      events_(events),
      clock_(clock),
      approver_pool_({.threads = options.approver_threads}, clock,
                     [this](const WorkSchedule::Item& item) {
                       return DecideByName(item.key);
                     }),
      upkeep_pool_({.threads = options.upkeep_threads}, clock,
                   [this](const WorkSchedule::Item& item) {
                     const auto id = TokenId::Parse(item.key);
                     return id.ok() ? upkeep_.Tend(*id) : WorkResult::Done();
                   }),
      csrs_(client, OptionsFor(WatchedCsrs()), CsrHandler()),
      records_(client, OptionsFor(WatchedRecords()), RecordHandler()) {
  NoteFresh("csrs", false);
  NoteFresh("records", false);
  threads_.emplace_back([this] { csrs_.Run(); });
  threads_.emplace_back([this] { records_.Run(); });
}

JoinController::~JoinController() {
  csrs_.Stop();
  records_.Stop();
  threads_.clear();
}

void JoinController::NoteFresh(std::string_view watch, bool fresh) {
  if (options_.metrics != nullptr) {
    options_.metrics->WatchFresh(watch, fresh);
  }
}

ReflectorHandler<JoinController::Csr> JoinController::CsrHandler() {
  return {.on_list =
              [this](std::vector<Csr> all, const std::string& version) {
                events_.CsrsListed(all, version);
                OnCsrList(std::move(all));
              },
          .on_change =
              [this](Csr csr) {
                events_.CsrWritten(csr);
                OnCsr(std::move(csr));
              },
          .on_delete =
              [this](const Csr& csr) {
                events_.PassedBy(EventSource::kCsrs,
                                 csr.metadata().resource_version());
                OnCsrDeleted(csr);
              },
          .on_bookmark =
              [this](const std::string& version) {
                events_.PassedBy(EventSource::kCsrs, version);
              },
          .on_fresh = [this](bool fresh) { NoteFresh("csrs", fresh); }};
}

ReflectorHandler<kubernetes::Secret> JoinController::RecordHandler() {
  using kubernetes::Secret;
  return {
      .on_list =
          [this](const std::vector<Secret>& all, const std::string& version) {
            OnRecordList(all, version);
          },
      .on_change = [this](const Secret& secret) { OnRecord(secret); },
      .on_delete = [this](const Secret& secret) { OnRecordDeleted(secret); },
      .on_bookmark =
          [this](const std::string& version) {
            events_.PassedBy(EventSource::kRecords, version);
          },
      .on_fresh =
          [this](bool fresh) {
            index_.SetFresh(fresh);
            NoteFresh("records", fresh);
          }};
}

void JoinController::OnCsrList(std::vector<Csr> csrs) {
  {
    const MutexLock lock(mutex_);
    pending_.clear();  // what is not in the list is gone
  }
  for (Csr& csr : csrs) OnCsr(std::move(csr));
}

void JoinController::OnCsr(Csr csr) {
  const std::string name = csr.metadata().name();
  const std::string requester = csr.spec().username();
  if (CsrApprover::Concerns(csr)) {
    {
      const absl::Time now = clock_.Now();
      const MutexLock lock(mutex_);
      const auto known = pending_.find(name);
      const bool same =
          known != pending_.end() &&
          known->second.csr.metadata().uid() == csr.metadata().uid();
      const absl::Time seen = same ? known->second.seen : now;
      pending_[name] = {.csr = std::move(csr), .seen = seen};
    }
    approver_pool_.Add({.group = requester, .key = name});
    return;
  }
  {
    const MutexLock lock(mutex_);
    pending_.erase(name);
  }
  if (options_.metrics != nullptr && StateOf(csr) == CsrState::kIssued) {
    options_.metrics->CertificateSeen(csr.metadata().uid());
  }
  // Decided or issued: the record that it holds may be due for the next arrow.
  if (const auto id = TokenIdOfUsername(requester);
      id.ok() && StateOf(csr) != CsrState::kApproved) {
    upkeep_pool_.Add(ItemOf(*id));
  }
}

void JoinController::OnCsrDeleted(const Csr& csr) {
  {
    const MutexLock lock(mutex_);
    pending_.erase(csr.metadata().name());
  }
  const auto id = TokenIdOfUsername(csr.spec().username());
  if (!id.ok()) return;
  upkeep_.NoteDeleted(csr);
  upkeep_pool_.Add(ItemOf(*id));
}

void JoinController::OnRecordList(
    const std::vector<kubernetes::Secret>& secrets,
    const std::string& version) {
  std::vector<StoredToken> tokens;
  tokens.reserve(secrets.size());
  for (const kubernetes::Secret& secret : secrets) {
    auto token = ReadRecord(secret);
    if (token.has_value()) tokens.push_back(*std::move(token));
  }
  index_.Replace(tokens);
  events_.RecordsListed(tokens, version);
  for (const StoredToken& token : tokens) Schedule(token.record, false);
}

void JoinController::OnRecord(const kubernetes::Secret& secret) {
  const std::string version = secret.metadata().resource_version();
  const auto token = ReadRecord(secret);
  if (!token.has_value()) {
    events_.PassedBy(EventSource::kRecords, version);
    return;
  }
  const bool news = index_.Note(token->record);
  events_.RecordWritten(*token, news);
  Schedule(token->record, true);
}

void JoinController::OnRecordDeleted(const kubernetes::Secret& secret) {
  const std::string version = secret.metadata().resource_version();
  // Tend() finds a removed record gone when its time comes.
  const auto token = ReadRecord(secret);
  if (!token.has_value()) {
    events_.PassedBy(EventSource::kRecords, version);
    return;
  }
  index_.Remove(token->record.id);
  events_.RecordRemoved(*token);
}

void JoinController::Schedule(const TokenRecord& record, bool news) {
  // Before it expires there is something due only for a reserved record.
  if (record.state != TokenState::kReserved) {
    upkeep_pool_.AddAt(ItemOf(record.id), record.expire_time);
  } else if (news) {
    upkeep_pool_.AddAt(ItemOf(record.id),
                       clock_.Now() + options_.reserved_look);
  } else {
    // Its CSR may have been decided while nobody watched.
    upkeep_pool_.Add(ItemOf(record.id));
  }
}

WorkResult JoinController::DecideByName(const std::string& name) {
  std::optional<Pending> pending;
  {
    const MutexLock lock(mutex_);
    if (const auto it = pending_.find(name); it != pending_.end()) {
      pending = it->second;
    }
  }
  return pending.has_value() ? approver_.Decide(pending->csr, pending->seen)
                             : WorkResult::Done();
}

}  // namespace latchkey
