// What goes wrong beside the network: processes that die, stand still or know
// the time badly, a cluster that is away or forgets, and people who tidy up.

#include <fmt/format.h>

#include "clients/kubernetes/token_secret_keys.h"
#include "kubernetes/certificates.pb.h"
#include "kubernetes/core.pb.h"
#include "services/csr_rules.h"
#include "storage/token_secret.h"
#include "tests/simulation/world.h"

namespace latchkey_testing {

using latchkey::TokenState;
using latchkey::kubernetes::Secret;
using Csr = latchkey::kubernetes::CertificateSigningRequest;

void World::MakeTrouble() {
  while (!peace_) {
    scheduler_.Sleep(absl::Seconds(6) * scheduler_.Fraction());
    if (peace_) return;
    if (!network_.Strike(Dose(0.6), "trouble")) continue;
    switch (faults_.Below(8)) {
      case 0:
      case 1:
      case 2:
        TroubleABroker();
        break;
      case 3:
      case 4:
        TroubleAMachine();
        break;
      case 5:
      case 6:
        TroubleTheCluster();
        break;
      default:
        DeleteSomething();
    }
  }
}

void World::TroubleABroker() {
  const size_t number = faults_.Below(brokers_.size());
  SimulatedBroker& broker = *brokers_[number];
  const absl::Duration while_for = faults_.UpTo(absl::Seconds(20));
  switch (faults_.Below(3)) {
    case 0:
      network_.Trace(fmt::format("broker {} is killed", number));
      broker.Kill();
      scheduler_.Sleep(while_for / 4);
      broker.Restart();
      break;
    case 1:
      network_.Trace(fmt::format("broker {} is frozen", number));
      broker.SetFrozen(true);
      scheduler_.Sleep(while_for * 2);
      network_.Trace(fmt::format("broker {} is thawed", number));
      broker.SetFrozen(false);
      break;
    default:
      network_.Trace(fmt::format("broker {} has a wrong clock", number));
      log_.DoubtClocks();
      broker.clock().SetSkew(absl::Minutes(6) * (faults_.Fraction() - 0.5));
  }
}

void World::TroubleAMachine() {
  Machine& machine = *machines_[faults_.Below(machines_.size())];
  if (machine.settled()) return;
  if (faults_.Fraction() < 0.6) {
    network_.Trace(machine.node_name + " is killed");
    scheduler_.Kill(machine.group);
    machine.away.Begin(scheduler_.Now());
    scheduler_.Sleep(faults_.UpTo(absl::Seconds(5)));
    StartMachine(machine);
  } else {
    network_.Trace(machine.node_name + " is frozen");
    const Scheduler::Group group = machine.group;
    scheduler_.SetFrozen(group, true);
    machine.away.Begin(scheduler_.Now());
    scheduler_.Sleep(faults_.UpTo(absl::Seconds(15)));
    scheduler_.SetFrozen(group, false);
    // Unless it was killed meanwhile, and is still dead.
    if (group == machine.group && scheduler_.Alive(group)) {
      machine.away.End(scheduler_.Now());
    }
  }
}

void World::TroubleTheCluster() {
  switch (faults_.Below(4)) {
    case 0:
      network_.SetApiServerDown(true);
      api_server_away_.Begin(scheduler_.Now());
      scheduler_.Sleep(faults_.UpTo(absl::Seconds(5)));
      network_.SetApiServerDown(false);
      api_server_away_.End(scheduler_.Now());
      break;
    case 1:
      network_.Trace("the cluster forgets its history");
      store_.ForgetHistory();
      network_.NoteChange("");
      break;
    case 2:
      network_.Trace("the controllers are killed");
      scheduler_.Kill(controllers_group_);
      scheduler_.Sleep(faults_.UpTo(absl::Seconds(5)));
      StartControllers();
      break;
    default:
      network_.Trace("the controllers are frozen");
      scheduler_.SetFrozen(controllers_group_, true);
      scheduler_.Sleep(faults_.UpTo(absl::Seconds(15)));
      scheduler_.SetFrozen(controllers_group_, false);
  }
}

// As an operator who tidies up might.
void World::DeleteSomething() {
  if (faults_.Fraction() < 0.15) return DeleteAToken();
  const auto csrs =
      admin_->List<latchkey::kubernetes::CertificateSigningRequestList>({});
  if (!csrs.ok() || csrs->items().empty()) return;
  const Csr& csr = csrs->items(static_cast<int>(
      faults_.Below(static_cast<uint64_t>(csrs->items_size()))));
  network_.Trace("CSR " + csr.metadata().name() + " is deleted");
  const auto token = latchkey::TokenIdOfUsername(csr.spec().username());
  if (token.ok()) tokens_of_deleted_csrs_.insert(token->text());
  admin_->Delete<Csr>({"", csr.metadata().name()}, {}).IgnoreError();
}

void World::DeleteAToken() {
  const Machine& machine = *machines_[faults_.Below(machines_.size())];
  if (machine.token_id.empty()) return;
  log_.AllowDeletion(machine.token_id);
  network_.Trace("token " + machine.token_id + " is deleted");
  const latchkey::ObjectName name{"kube-system",
                                  "bootstrap-token-" + machine.token_id};
  const auto secret = admin_->Get<Secret>(name);
  admin_->Delete<Secret>(name, {}).IgnoreError();
  if (secret.ok() && faults_.Fraction() < 0.5) Usurp(machine.token_id, *secret);
}

// Somebody else's Secret takes the token's name: kubeadm's, or, as of another
// cluster's backup, a record of another request.
void World::Usurp(const std::string& token_id, const Secret& deleted) {
  Secret secret;
  secret.set_type("bootstrap.kubernetes.io/token");
  auto& metadata = *secret.mutable_metadata();
  metadata.set_namespace_("kube-system");
  metadata.set_name(deleted.metadata().name());
  const auto token = latchkey::ReadTokenSecret(deleted);
  const bool fresh =
      token.ok() && (token->record.state == TokenState::kIssued ||
                     token->record.state == TokenState::kActive);
  if (fresh && faults_.Fraction() < 0.5) {
    *secret.mutable_data() = deleted.data();
    *metadata.mutable_labels() = deleted.metadata().labels();
    *metadata.mutable_annotations() = deleted.metadata().annotations();
    (*metadata.mutable_annotations())[latchkey::token_secret::kRequestKey] =
        std::string(64, 'f');
  } else {
    auto& data = *secret.mutable_data();
    data[latchkey::token_secret::kTokenId] = token_id;
    data[latchkey::token_secret::kTokenSecret] = "0123456789abcdef";
    data[latchkey::token_secret::kUsageAuthentication] = "true";
  }
  network_.Trace("token " + token_id + ": its name is another Secret's");
  admin_->Create(secret).status().IgnoreError();
}

void World::MakePeace() {
  peace_ = true;
  network_.Trace("peace");
  network_.SetRates({});
  network_.SetApiServerDown(false);
  api_server_away_.End(scheduler_.Now());
  for (const auto& broker : brokers_) {
    broker->clock().SetSkew(absl::ZeroDuration());
    broker->SetFrozen(false);
    broker->Restart();
  }
  for (const auto& machine : machines_) {
    scheduler_.SetFrozen(machine->group, false);
    if (scheduler_.Alive(machine->group)) machine->away.End(scheduler_.Now());
  }
  scheduler_.SetFrozen(controllers_group_, false);
}

}  // namespace latchkey_testing
