#include "tests/simulation/parties.h"

#include "clients/node/node_certificate.h"
#include "core/status_macros.h"
#include "devcluster/user.h"
#include "tests/testing/temp_dir.h"

namespace latchkey_testing {
namespace {

using latchkey::Certificate;
using latchkey::KeyType;
using latchkey::NodeCredential;
using latchkey::PrivateKey;

constexpr absl::Duration kCallTimeout = absl::Seconds(15);

}  // namespace

// As server/broker.cc wires them, without ports.
struct SimulatedBroker::Parts {
  Parts(const Options& options, Network& network,
        const latchkey::LivePolicy& policy, latchkey::AuditLog& audit,
        const latchkey::Clock& clock)
      : raw(network.ClientOf(latchkey::BrokerUser())),
        client(*raw, {}),
        store(client),
        misuse(store, policy, audit, clock),
        token_broker({.join_window = options.join_window}, store, policy,
                     misuse, index, clock),
        approver({}, client, store, misuse, audit, clock),
        administration(client, store, approver, policy, clock),
        upkeep({.fetch_grace = options.fetch_grace}, client, store, audit,
               clock),
        events({}, *raw),
        controller({.approver_threads = 2, .upkeep_threads = 1}, *raw, approver,
                   upkeep, index, events, clock),
        batch_queue({.threads = 2}) {}

  const std::unique_ptr<latchkey::KubernetesClient> raw;
  latchkey::RetryingKubernetesClient client;
  latchkey::KubernetesTokenStore store;
  latchkey::MisuseGuard misuse;
  latchkey::RecordIndex index;
  latchkey::TokenBroker token_broker;
  latchkey::CsrApprover approver;
  latchkey::TokenAdministration administration;
  latchkey::TokenUpkeep upkeep;
  latchkey::TokenEvents events;
  latchkey::JoinController controller;
  latchkey::FairQueue batch_queue;
};

SimulatedBroker::SimulatedBroker(const Options& options, Network& network,
                                 AuditBook& audit,
                                 const latchkey::LivePolicy& policy)
    : options_(options),
      network_(network),
      policy_(policy),
      clock_(network.scheduler()),
      audit_(options.number, audit, network, clock_) {
  Restart();
}

SimulatedBroker::~SimulatedBroker() { Kill(); }

void SimulatedBroker::Kill() {
  if (!alive()) return;
  network_.scheduler().Kill(group_);
  frozen_ = false;
  parts_.reset();
}

void SimulatedBroker::Restart() {
  if (alive()) return;
  Scheduler& scheduler = network_.scheduler();
  group_ = scheduler.NewGroup();
  scheduler.StartIn(group_, [this] {
    parts_ =
        std::make_unique<Parts>(options_, network_, policy_, audit_, clock_);
  });
}

void SimulatedBroker::SetFrozen(bool frozen) {
  if (!alive()) return;
  frozen_ = frozen;
  network_.scheduler().SetFrozen(group_, frozen);
}

BrokerServices SimulatedBroker::services() {
  return {.tokens = parts_->token_broker,
          .administration = parts_->administration,
          .batch_queue = parts_->batch_queue};
}

absl::Status SimulatedBroker::Serve(std::string_view verb,
                                    std::string_view object,
                                    const std::function<void()>& work,
                                    const std::shared_ptr<bool>& answered) {
  return network_.CarryCall(
      {.verb = verb,
       .object = object,
       .deliver = [&] { return RunAndWait(work, answered); },
       .copy = [&]() -> std::function<void()> {
         return [this, work] {
           if (alive()) network_.scheduler().Spawn(group_, work);
         };
       }});
}

absl::Status SimulatedBroker::RunAndWait(
    const std::function<void()>& work, const std::shared_ptr<bool>& answered) {
  if (!alive()) return absl::UnavailableError("no broker there");
  Scheduler& scheduler = network_.scheduler();
  const Scheduler::Group group = group_;
  scheduler.Spawn(group, work);
  const absl::Time deadline = scheduler.Now() + kCallTimeout;
  while (!*answered) {
    if (group != group_ || !alive()) {
      return absl::UnavailableError("the broker went away");
    }
    if (scheduler.Now() >= deadline) {
      return absl::DeadlineExceededError("no answer in time");
    }
    scheduler.Await(answered.get(), absl::Seconds(1));
  }
  return absl::OkStatus();
}

absl::StatusOr<Certificate> SimulatedDisk::Check(
    const std::optional<NodeCredential>& credential, std::string_view node_name,
    absl::Time now) const {
  if (!credential.has_value()) return absl::NotFoundError("no credential");
  LATCHKEY_ASSIGN_OR_RETURN(
      std::vector<Certificate> chain,
      Certificate::ParseAll(credential->certificates_pem));
  LATCHKEY_RETURN_IF_ERROR(latchkey::CheckNodeCertificate(
      chain.front(), credential->key.public_key_digest(), node_name, now));
  return std::move(chain.front());
}

absl::StatusOr<Certificate> SimulatedDisk::FindCredential(
    std::string_view node_name, absl::Time now) const {
  return Check(current_, node_name, now);
}

absl::StatusOr<std::shared_ptr<void>> SimulatedDisk::TryLock() {
  return std::make_shared<int>(0);
}

absl::Status SimulatedDisk::Prepare() {
  scheduler_.Yield();
  return absl::OkStatus();
}

absl::StatusOr<Certificate> SimulatedDisk::Recover(std::string_view node_name,
                                                   absl::Time now) {
  LATCHKEY_ASSIGN_OR_RETURN(Certificate certificate,
                            Check(installed_, node_name, now));
  scheduler_.Yield();
  current_ = installed_;
  key_.reset();
  return certificate;
}

absl::StatusOr<PrivateKey> SimulatedDisk::LoadOrCreateKey(KeyType /*type*/) {
  scheduler_.Yield();
  if (!key_.has_value()) key_ = new_key_;
  scheduler_.Yield();
  return *key_;
}

absl::Status SimulatedDisk::Install(const NodeCredential& credential,
                                    absl::Time /*now*/) {
  scheduler_.Yield();
  installed_ = credential;
  scheduler_.Yield();
  current_ = credential;
  scheduler_.Yield();
  key_.reset();
  return absl::OkStatus();
}

const PrivateKey& PooledKey(size_t number) {
  // From a file: names of CSRs derive from keys, and the order of names must be
  // the same in every process.
  static const std::vector<PrivateKey> keys = [] {
    constexpr std::string_view kEnd = "-----END PRIVATE KEY-----\n";
    const std::string all = ReadFile(LATCHKEY_TESTDATA "/simulation_keys.pem");
    std::vector<PrivateKey> read;
    size_t begin = 0;
    for (size_t end = all.find(kEnd); end != std::string::npos;
         end = all.find(kEnd, begin)) {
      end += kEnd.size();
      read.push_back(
          PrivateKey::FromPem(all.substr(begin, end - begin)).value());
      begin = end;
    }
    return read;
  }();
  return keys[number % keys.size()];
}

}  // namespace latchkey_testing
