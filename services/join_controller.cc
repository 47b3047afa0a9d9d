#include "services/join_controller.h"

#include <optional>
#include <string>
#include <utility>

#include "clients/log/event_log.h"
#include "services/csr_rules.h"
#include "storage/token_secret.h"

namespace latchkey {
namespace {

// One group a token: its work is done in order and in turn with the others'.
WorkSchedule::Item ItemOf(const TokenId& id) {
  return {.group = id.text(), .key = id.text()};
}

}  // namespace

JoinController::JoinController(Options options, KubernetesClient& client,
                               CsrApprover& approver, TokenUpkeep& upkeep,
                               const Clock& clock)
    : approver_(approver),
      upkeep_(upkeep),
      approver_pool_({.threads = options.approver_threads}, clock,
                     [this](const WorkSchedule::Item& item) {
                       return DecideByName(item.key);
                     }),
      upkeep_pool_({.threads = options.upkeep_threads}, clock,
                   [this](const WorkSchedule::Item& item) {
                     const auto id = TokenId::Parse(item.key);
                     return id.ok() ? upkeep_.Tend(*id) : WorkResult::Done();
                   }),
      csrs_(
          client,
          {.field_selector =
               "spec.signerName=" + std::string(kKubeletClientSigner)},
          {.on_list = [this](std::vector<Csr> all,
                             const std::string&) { OnCsrList(std::move(all)); },
           .on_change = [this](Csr csr) { OnCsr(std::move(csr)); },
           .on_delete = [this](Csr csr) { OnCsrDeleted(csr); }}),
      records_(
          client,
          {.name_space = std::string(kTokenNamespace),
           .label_selector = std::string(kTokenLabelSelector),
           .field_selector = std::string(kTokenFieldSelector)},
          {.on_list =
               [this](std::vector<kubernetes::Secret> all, const std::string&) {
                 for (auto& secret : all) OnRecord(std::move(secret));
               },
           .on_change =
               [this](kubernetes::Secret secret) {
                 OnRecord(std::move(secret));
               },
           // Tend() finds a removed record gone when its time comes.
           .on_delete = [](const kubernetes::Secret&) {}}) {
  threads_.emplace_back([this] { csrs_.Run(); });
  threads_.emplace_back([this] { records_.Run(); });
}

JoinController::~JoinController() {
  csrs_.Stop();
  records_.Stop();
  threads_.clear();
}

bool JoinController::fresh() const { return csrs_.fresh() && records_.fresh(); }

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
      const MutexLock lock(mutex_);
      pending_[name] = std::move(csr);
    }
    approver_pool_.Add({.group = requester, .key = name});
    return;
  }
  {
    const MutexLock lock(mutex_);
    pending_.erase(name);
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

void JoinController::OnRecord(kubernetes::Secret secret) {
  const auto token = ReadTokenSecret(std::move(secret));
  if (!token.ok()) {
    LogEvent(LogLevel::kWarning, "record altered",
             {{"status", token.status().ToString()}});
    return;
  }
  const TokenRecord& record = token->record;
  // A reserved record is looked at now: its CSR may have been decided while
  // nobody watched. The others have nothing due before they expire.
  if (record.state == TokenState::kReserved) {
    upkeep_pool_.Add(ItemOf(record.id));
  } else {
    upkeep_pool_.AddAt(ItemOf(record.id), record.expire_time);
  }
}

WorkResult JoinController::DecideByName(const std::string& name) {
  std::optional<Csr> csr;
  {
    const MutexLock lock(mutex_);
    if (const auto it = pending_.find(name); it != pending_.end()) {
      csr = it->second;
    }
  }
  return csr.has_value() ? approver_.Decide(*csr) : WorkResult::Done();
}

}  // namespace latchkey
