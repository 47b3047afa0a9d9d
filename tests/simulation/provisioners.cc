// Who issues tokens, one by one or many at once, cuts them off, gives them more
// time, and only looks what would be; and who tries it with another's tokens.

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/mutex.h"
#include "core/reasons.h"
#include "core/refusal.h"
#include "core/status_macros.h"
#include "tests/simulation/world.h"

namespace latchkey_testing {

using latchkey::BatchItems;
using latchkey::BatchResults;
using latchkey::Delivery;
using latchkey::Identity;
using latchkey::IssuedToken;
using latchkey::IssueRequest;
using latchkey::RevokedTokens;
using latchkey::RevokeOrder;
using latchkey::SecretString;
using latchkey::StoredToken;
using latchkey::TokenRecord;
using latchkey::TokenState;

namespace {

constexpr char kProvisioner[] = "spiffe://example.org/autoscaler";
constexpr char kOperator[] = "spiffe://example.org/operator";
constexpr char kStranger[] = "spiffe://example.org/another-team";
constexpr char kWorkersRule[] = "workers";
constexpr absl::Duration kLifetime = absl::Minutes(40);
constexpr absl::Duration kMaxLifetime = absl::Hours(1);

Identity Named(const char* spiffe_id) {
  Identity identity{.name = spiffe_id, .attributes = {}};
  identity.attributes["spiffe_id"] = {spiffe_id};
  return identity;
}

absl::Time WholeSeconds(absl::Time time) {
  return absl::FromUnixSeconds(absl::ToUnixSeconds(time));
}

RevokeOrder OrderOf(bool trial) {
  return {.why = trial ? std::string(WriteLog::kTrial) : "it is not needed",
          .validate_only = trial};
}

CallKind KindOf(bool trial) {
  return trial ? CallKind::kReads : CallKind::kWrites;
}

// What a batch comes to, waited for where its call is served.
class BatchEnd {
 public:
  void Set(BatchResults results) {
    {
      const latchkey::MutexLock lock(mutex_);
      results_ = std::move(results);
    }
    ended_.SignalAll();
  }
  BatchResults Await() {
    const latchkey::MutexLock lock(mutex_);
    while (!results_.has_value()) ended_.Wait(mutex_);
    return *results_;
  }

 private:
  latchkey::Mutex mutex_;
  latchkey::CondVar ended_;
  std::optional<BatchResults> results_ ABSL_GUARDED_BY(mutex_);
};

absl::StatusOr<StoredToken> ExtendAt(const BrokerServices& at,
                                     const Identity& by, const std::string& id,
                                     absl::Time until) {
  LATCHKEY_ASSIGN_OR_RETURN(latchkey::ExtendedToken extended,
                            at.administration.Extend(by, id, until));
  return std::move(extended.token);
}

}  // namespace

Identity Provisioner() { return Named(kProvisioner); }
Identity Operator() { return Named(kOperator); }
Identity Stranger() { return Named(kStranger); }

latchkey::Policy SimulatedPolicy(Scheduler& scheduler) {
  latchkey::PolicyRule workers{.name = kWorkersRule};
  workers.provisioners = {{{{"spiffe_id", kProvisioner}}}};
  workers.node_names = {"*"};
  workers.delivery = {Delivery::kTicket, Delivery::kDirect};
  workers.max_token_lifetime = kMaxLifetime;
  workers.freeze_on_misuse = scheduler.Chance(0.3);
  latchkey::PolicyRule operators{.name = "operators"};
  operators.provisioners = {{{{"spiffe_id", kOperator}}}};
  operators.manage = latchkey::Reach::kAll;
  latchkey::PolicyRule others{.name = "others"};
  others.provisioners = {{{{"spiffe_id", kStranger}}}};
  others.node_names = {"other-*"};
  return latchkey::Policy({workers, operators, others});
}

void World::PlanProvisioning(const std::vector<Machine*>& machines) {
  log_.SetMaxLifetime(kMaxLifetime);
  log_.SetManagers({kProvisioner, kOperator});
  log_.SetFreezes(policy_.Current()->FreezesOnMisuse(kWorkersRule));
  // The first so many in one batch.
  size_t together = 0;
  if (scheduler_.Chance(0.3)) together = 2 + scheduler_.Below(machines.size());
  together = std::min(together, machines.size());
  std::vector<Machine*> batch;
  std::vector<Delivery> deliveries;
  for (size_t i = 0; i < machines.size(); ++i) {
    Machine& machine = *machines[i];
    const Delivery delivery =
        scheduler_.Chance(0.3) ? Delivery::kDirect : Delivery::kTicket;
    if (i < together) {
      batch.push_back(&machine);
      deliveries.push_back(delivery);
      continue;
    }
    scheduler_.Spawn(scheduler_.NewGroup(), [this, &machine, delivery] {
      scheduler_.Sleep(absl::Seconds(20) * scheduler_.Fraction());
      Provision(machine, delivery);
    });
  }
  if (batch.empty()) return;
  scheduler_.Spawn(scheduler_.NewGroup(), [this, batch, deliveries] {
    scheduler_.Sleep(absl::Seconds(20) * scheduler_.Fraction());
    ProvisionTogether(batch, deliveries);
  });
}

SecretString World::RequestIdOf(const Machine& machine, bool trial) {
  return SecretString((trial ? "request-on-trial-for-" : "request-for-") +
                      machine.node_name);
}

IssueRequest World::RequestFor(const Machine& machine,
                               Delivery delivery) const {
  IssueRequest request;
  request.scope = machine.scope;
  request.delivery = delivery;
  request.request_id = RequestIdOf(machine, false);
  request.lifetime = short_lives_ ? absl::Minutes(1) : kLifetime;
  return request;
}

bool World::AskAgain(const absl::Status& answer) {
  if (!latchkey::ReasonOf(answer).empty()) return false;
  scheduler_.Sleep(absl::Milliseconds(200) +
                   absl::Seconds(1) * scheduler_.Fraction());
  return true;
}

bool World::CheckIssued(const IssueRequest& request,
                        const absl::StatusOr<IssuedToken>& issued,
                        bool may_be_refused) {
  if (issued.ok()) {
    if (issued->record.scope != request.scope ||
        issued->record.provisioner != kProvisioner) {
      Complain("a request was answered with another one's token",
               request.scope.node_name);
    }
    return true;
  }
  const std::string reason = latchkey::ReasonOf(issued.status());
  if (!may_be_refused && (reason == latchkey::reason::kRequestIdReused ||
                          reason == latchkey::reason::kPolicyDenied)) {
    Complain("an honest request was refused", issued.status().ToString());
  }
  return !reason.empty();
}

std::optional<IssuedToken> World::IssueUntilAnswered(
    const IssueRequest& request, bool may_be_refused) {
  while (true) {
    auto issued =
        Ask<IssuedToken>("issue", request.scope.node_name, CallKind::kWrites,
                         [request](const BrokerServices& at) {
                           return at.tokens.Issue(Provisioner(), request);
                         });
    if (CheckIssued(request, issued, may_be_refused)) {
      if (!issued.ok()) return std::nullopt;
      return *std::move(issued);
    }
    AskAgain(issued.status());
  }
}

void World::Provision(Machine& machine, Delivery delivery) {
  const IssueRequest request = RequestFor(machine, delivery);
  auto twin = std::make_shared<std::optional<IssuedToken>>();
  if (network_.Strike(0.3, "asked for twice:", machine.node_name)) {
    scheduler_.Spawn(scheduler_.NewGroup(), [this, &machine, request, twin] {
      *twin = IssueUntilAnswered(request, machine.id_reused);
    });
  }
  const auto issued = IssueUntilAnswered(request, machine.id_reused);
  if (!issued.has_value()) {
    // Only its own twin, or somebody who deletes or revokes, can have been
    // before.
    machine.refused = absl::FailedPreconditionError("not issued");
    return;
  }
  CompareTwin(*issued, *twin);
  HandOver(machine, *issued);
}

void World::HandOver(Machine& machine, const IssuedToken& issued) {
  machine.token_id = issued.record.id.text();
  if (issued.ticket.has_value()) {
    machine.credential = *issued.ticket;
  } else {
    machine.credential = GrantOf(*issued.token, issued.record.scope);
  }
  scheduler_.Signal(&machine);
}

absl::StatusOr<BatchResults> World::IssueTogether(
    const std::vector<IssueRequest>& requests) {
  return Ask<BatchResults>(
      "batch", "issue", CallKind::kWrites,
      [items = BatchItems(requests.begin(), requests.end())](
          const BrokerServices& at) -> absl::StatusOr<BatchResults> {
        const auto end = std::make_shared<BatchEnd>();
        latchkey::IssueBatch(
            at.tokens, at.batch_queue, Provisioner(), items,
            [] { return false; },
            [end](BatchResults results, const latchkey::BatchTimes& /*times*/) {
              end->Set(std::move(results));
            });
        return end->Await();
      });
}

// The whole batch again as long as an item has no answer, and sometimes once
// more: every answer to an item is the same.
void World::ProvisionTogether(const std::vector<Machine*>& machines,
                              const std::vector<Delivery>& deliveries) {
  std::vector<IssueRequest> requests;
  for (size_t i = 0; i < machines.size(); ++i) {
    requests.push_back(RequestFor(*machines[i], deliveries[i]));
  }
  std::vector<std::optional<IssuedToken>> first(machines.size());
  size_t open = machines.size();
  bool once_more = network_.Strike(0.5, "asked for twice:", "the batch");
  while (open > 0 || once_more) {
    if (open == 0) once_more = false;
    const auto results = IssueTogether(requests);
    if (!results.ok()) {
      AskAgain(results.status());
      continue;
    }
    if (results->size() != machines.size()) {
      return Complain("a batch has another number of results", "");
    }
    for (size_t i = 0; i < machines.size(); ++i) {
      Machine& machine = *machines[i];
      const auto& result = (*results)[i];
      if (thorough_ && !result.ok()) {
        told_.push_back(result.status().ToString());
      }
      if (!CheckIssued(requests[i], result, machine.id_reused)) continue;
      if (result.ok() && first[i].has_value()) CompareTwin(*first[i], *result);
      if (first[i].has_value() || machine.settled()) continue;
      --open;
      if (result.ok()) {
        first[i] = *result;
        HandOver(machine, *result);
      } else {
        machine.refused = absl::FailedPreconditionError("not issued");
      }
    }
    scheduler_.Sleep(absl::Seconds(1) * scheduler_.Fraction());
  }
}

void World::CompareTwin(const IssuedToken& issued,
                        const std::optional<IssuedToken>& twin) {
  if (!twin.has_value()) return;
  const std::string& id = issued.record.id.text();
  if (twin->uid == issued.uid) {
    const auto text = [](const IssuedToken& answer) {
      return std::string(answer.ticket.has_value()
                             ? answer.ticket->text().Reveal()
                             : answer.token->Joined().Reveal());
    };
    const bool same = text(issued) == text(*twin);
    if (!same) Complain("one request has two answers", id);
  } else if (!log_.WasRemoved(id) && !log_.WasRemoved(twin->record.id.text())) {
    Complain("one request has two tokens", id);
  }
}

// ---- administration -------------------------------------------------------

// Some while after the machine has its credential, or just before.
void World::PlanOrders(Machine& machine) {
  const uint64_t order = faults_.Below(10);
  const absl::Duration after = faults_.UpTo(
      faults_.Fraction() < 0.7 ? absl::Seconds(2) : absl::Seconds(40));
  const absl::Duration longer = faults_.UpTo(absl::Minutes(30));
  const Identity by = faults_.Fraction() < 0.7 ? Provisioner() : Operator();
  scheduler_.Spawn(scheduler_.NewGroup(),
                   [this, &machine, order, after, longer, by] {
                     if (order == 0) return Preview(machine);
                     AwaitCredential(machine);
                     scheduler_.Sleep(after);
                     switch (order) {
                       case 1:
                       case 2:
                         return RevokeById(machine, by, false);
                       case 3:
                         return RevokeById(machine, by, true);
                       case 4:
                         return RevokeByFilter(machine, by, false);
                       case 5:
                         return RevokeByFilter(machine, by, true);
                       case 6:
                         return Extend(machine, by, kMaxLifetime + longer);
                       default:
                         return Extend(machine, by, longer);
                     }
                   });
}

void World::Preview(const Machine& machine) {
  IssueRequest request = RequestFor(machine, Delivery::kTicket);
  request.scope.node_name =
      std::string(WriteLog::kTrialNode) + machine.node_name;
  request.request_id = RequestIdOf(machine, true);
  request.validate_only = true;
  const auto shown =
      Ask<IssuedToken>("preview", machine.node_name, CallKind::kReads,
                       [request](const BrokerServices& at) {
                         return at.tokens.Issue(Provisioner(), request);
                       });
  if (!shown.ok()) return;
  if (shown->ticket.has_value() || shown->token.has_value()) {
    Complain("a preview has a credential", machine.node_name);
  }
}

// That a manager is refused a token's change for a reason that is true.
void World::CheckRefusal(const std::string& token_id,
                         const absl::Status& refusal) {
  const std::string reason = latchkey::ReasonOf(refusal);
  if (reason == latchkey::reason::kTokenUnknown) {
    if (log_.WasRemoved(token_id)) return;
  } else if (reason == latchkey::reason::kTokenSpent) {
    if (log_.WasSpent(token_id)) return;
  } else if (reason == latchkey::reason::kTokenRevoked ||
             reason == latchkey::reason::kTokenExpired) {
    return;
  }
  Complain("a manager was refused without a reason", refusal.ToString());
}

void World::RevokeById(Machine& machine, const Identity& by, bool trial) {
  const std::string id = machine.token_id;
  while (true) {
    const auto answer = Ask<StoredToken>(
        trial ? "try to revoke" : "revoke", machine.node_name, KindOf(trial),
        [by, id, trial](const auto& at) {
          return at.administration.Revoke(by, id, OrderOf(trial));
        });
    if (answer.ok()) {
      if (!trial) log_.RevocationAnswered(*answer);
      return;
    }
    if (!AskAgain(answer.status())) return CheckRefusal(id, answer.status());
  }
}

void World::RevokeByFilter(Machine& machine, const Identity& by, bool trial) {
  latchkey::TokenFilter filter;
  filter.node_name = machine.node_name;
  while (true) {
    const int64_t since = log_.revision();
    const auto answer = Ask<RevokedTokens>(
        trial ? "try to revoke all" : "revoke all", machine.node_name,
        KindOf(trial), [by, filter, trial](const auto& at) {
          return at.administration.RevokeAll(by, filter, OrderOf(trial));
        });
    if (!answer.ok() && AskAgain(answer.status())) continue;
    if (!answer.ok()) {
      return Complain("a manager was refused without a reason",
                      answer.status().ToString());
    }
    if (trial) return;
    for (const StoredToken& token : answer->tokens) {
      log_.RevocationAnswered(token);
    }
    if (answer->failed.empty() && !answer->more) {
      return log_.AllRevoked(machine.node_name, since);
    }
    scheduler_.Sleep(absl::Seconds(1));
  }
}

void World::Extend(Machine& machine, const Identity& by,
                   absl::Duration beyond_now) {
  const std::string id = machine.token_id;
  const absl::Time until = WholeSeconds(scheduler_.Now() + beyond_now);
  while (true) {
    const auto answer =
        Ask<StoredToken>("extend", machine.node_name, CallKind::kWrites,
                         [by, id, until](const BrokerServices& at) {
                           return ExtendAt(at, by, id, until);
                         });
    if (answer.ok()) {
      const TokenRecord& record = answer->record;
      if (record.expire_time < until || record.state == TokenState::kSpent ||
          record.state == TokenState::kRevoked) {
        Complain("told to be extended, and is not", id);
      }
      return;
    }
    if (AskAgain(answer.status())) continue;
    const auto created = log_.CreateTime(id);
    const bool beyond = !created.has_value() ||
                        until > *created + kMaxLifetime - absl::Seconds(1);
    const bool denied =
        latchkey::ReasonOf(answer.status()) == latchkey::reason::kPolicyDenied;
    if (denied && beyond) return;
    return CheckRefusal(id, answer.status());
  }
}

// ---- tokens of others -----------------------------------------------------

void World::PlanStranger(Machine& machine) {
  const absl::Duration after = faults_.UpTo(absl::Seconds(10));
  const uint64_t first = faults_.Below(4);
  scheduler_.Spawn(scheduler_.NewGroup(), [this, &machine, after, first] {
    AwaitCredential(machine);
    scheduler_.Sleep(after);
    AskAsAStranger(machine, first, 0);
    AskAsAStranger(machine, (first + 1) % 4, 1);
  });
}

// Every verb answers as of a token that is not there, and writes nothing.
void World::AskAsAStranger(Machine& machine, uint64_t verb, int number) {
  const std::string id = machine.token_id;
  const absl::Time until = WholeSeconds(scheduler_.Now() + absl::Minutes(50));
  const RevokeOrder order{.why = fmt::format("not mine {}", number)};
  latchkey::TokenFilter filter;
  filter.node_name = machine.node_name;
  using Seen = std::vector<StoredToken>;
  const auto answer = Ask<Seen>(
      "pry", machine.node_name, CallKind::kReads,
      [=](const BrokerServices& at) -> absl::StatusOr<Seen> {
        absl::StatusOr<StoredToken> one = absl::InternalError("");
        switch (verb) {
          case 0:
            one = at.administration.Get(Stranger(), id);
            break;
          case 1:
            one = at.administration.Revoke(Stranger(), id, order);
            break;
          case 2:
            one = ExtendAt(at, Stranger(), id, until);
            break;
          default: {
            auto all = at.administration.RevokeAll(Stranger(), filter, order);
            if (!all.ok()) return all.status();
            return std::move(all->tokens);
          }
        }
        if (!one.ok()) return one.status();
        return Seen{*std::move(one)};
      });
  const std::string reason = latchkey::ReasonOf(answer.status());
  const bool unknown = reason == latchkey::reason::kTokenUnknown;
  if (answer.ok() ? !answer->empty() : !reason.empty() && !unknown) {
    Complain("a token was shown to somebody whose it is not",
             fmt::format("{}: {}", id, answer.status().ToString()));
  }
}

}  // namespace latchkey_testing
