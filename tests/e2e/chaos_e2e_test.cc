// Machines join while everything around them is killed, frozen and cut off, at
// random, on a seed: two brokers, the real etcd, API server and controller
// manager, the machines themselves, and every connection between them, through
// a proxy that loses what networks lose. Thieves try their luck meanwhile.
//
// The environment chooses: LATCHKEY_CHAOS_SEED the faults (the moments at which
// they strike still depend on the machine), LATCHKEY_CHAOS_SECONDS how long new
// machines come and faults are made, by default 30. They go on until there was
// one of each kind.

#include <signal.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <mutex>
#include <random>
#include <regex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <grpcpp/client_context.h>

#include "clients/broker/broker_channel.h"
#include "clients/broker/grpc_error.h"
#include "crypto/certificate.h"
#include "crypto/certificate_request.h"
#include "latchkey/v1/token_broker.grpc.pb.h"
#include "tests/e2e/join_test.h"
#include "tests/testing/fault_proxy.h"
#include "tests/testing/free_port.h"
#include "tests/testing/http_get.h"
#include "tests/testing/wait_until.h"

namespace latchkey_testing {
namespace {

using latchkey::TokenState;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr int kMachinesAtATime = 20;
constexpr int kThievesAtATime = 4;
// Short, so that the records of the run expire within it.
constexpr absl::Duration kJoinWindow = absl::Seconds(60);
constexpr absl::Duration kJoinPatience = absl::Minutes(2);
// How much longer there may be faults, until each kind has been made.
constexpr absl::Duration kFaultPatience = absl::Minutes(1);

constexpr char kBroker[] = "broker";
constexpr char kMachine[] = "latchkey-join";

uint64_t NumberFrom(const char* variable, uint64_t otherwise) {
  const char* text = getenv(variable);
  return text == nullptr ? otherwise : strtoull(text, nullptr, 10);
}

// A machine, and its latchkey-join, started again whenever it fails, as systemd
// would.
class Unit {
 public:
  explicit Unit(const std::string& node_name)
      : name_(node_name), machine_(node_name) {}
  Unit(const Unit&) = delete;
  Unit& operator=(const Unit&) = delete;
  ~Unit() { Stop(); }

  Machine& machine() { return machine_; }
  const Machine& machine() const { return machine_; }
  const std::string& name() const { return name_; }

  void Start() {
    thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
  }
  void Stop() {
    thread_.request_stop();
    Signal(SIGCONT);
    Signal(SIGKILL);
    if (thread_.joinable()) thread_.join();
  }
  // To the run that is under way; false if none is.
  bool Signal(int signal) {
    const std::lock_guard lock(mutex_);
    if (process_ == nullptr) return false;
    process_->Signal(signal);
    return true;
  }

  // How its last run ended: 0 joined, 3 refused, which is final too.
  std::optional<int> outcome() const {
    const std::lock_guard lock(mutex_);
    return outcome_;
  }
  bool IsDone() const {
    const std::optional<int> how = outcome();
    return how == 0 || how == 3;
  }
  absl::Duration took() const {
    const std::lock_guard lock(mutex_);
    return took_;
  }
  int runs() const { return runs_; }

 private:
  void Run(const std::stop_token& stop) {
    const absl::Time start = absl::Now();
    while (!stop.stop_requested() && !IsDone()) {
      auto process = machine_.StartJoin();
      if (!process.ok()) return;
      ++runs_;
      {
        const std::lock_guard lock(mutex_);
        process_ = *std::move(process);
      }
      std::optional<int> code;
      WaitUntil(
          [&] {
            const std::lock_guard lock(mutex_);
            code = process_->AwaitExit(absl::ZeroDuration());
            return code.has_value();
          },
          absl::InfiniteDuration());
      const std::lock_guard lock(mutex_);
      process_ = nullptr;
      outcome_ = code;
      took_ = absl::Now() - start;
    }
  }

  const std::string name_;
  Machine machine_;
  std::atomic<int> runs_ = 0;
  mutable std::mutex mutex_;
  std::unique_ptr<ChildProcess> process_;
  std::optional<int> outcome_;
  absl::Duration took_;
  std::jthread thread_;
};

// Does things later, whatever the test waits for meanwhile: its own calls of an
// API server that is frozen must not keep that frozen.
class Mender {
 public:
  void Later(absl::Duration delay, std::function<void()> mend) {
    const std::lock_guard lock(mutex_);
    due_.emplace(absl::Now() + delay, std::move(mend));
  }
  bool IsDone() const {
    const std::lock_guard lock(mutex_);
    return due_.empty();
  }

 private:
  void Run(const std::stop_token& stop) {
    WaitUntil(
        [&] {
          std::unique_lock lock(mutex_);
          if (!due_.empty() && due_.begin()->first <= absl::Now()) {
            const auto mend = due_.begin();
            lock.unlock();  // nobody else takes one out
            mend->second();
            lock.lock();
            due_.erase(mend);
          }
          return stop.stop_requested();
        },
        absl::InfiniteDuration());
  }

  mutable std::mutex mutex_;
  std::multimap<absl::Time, std::function<void()>> due_;
  std::jthread thread_{[this](const std::stop_token& stop) { Run(stop); }};
};

class ChaosE2eTest : public JoinTest {
 protected:
  // What was decided is looked at in the end, after hours if need be.
  ChaosE2eTest() : JoinTest({.csr_cleaner = false, .audit = true}) {}

  void SetUp() override {
    JoinTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const int api_port =
        std::stoi(cluster().url().substr(cluster().url().rfind(':') + 1));
    api_ = std::make_unique<FaultProxy>(std::vector<int>{api_port}, Draw());
    api_url_ = fmt::format("https://127.0.0.1:{}", api_->port());
    for (int i = 0; i < 2; ++i) {
      provisioner_ports_.push_back(FreePort());
      node_ports_.push_back(FreePort());
    }
    provisioners_ = std::make_unique<FaultProxy>(provisioner_ports_, Draw());
    nodes_ = std::make_unique<FaultProxy>(node_ports_, Draw());
  }
  void TearDown() override {
    WaitUntil([this] { return mender_.IsDone(); });
    units_.clear();
    for (auto& broker : brokers_) broker.reset();
    JoinTest::TearDown();
  }

  uint64_t Draw() { return random_(); }
  int Draw(int least, int most) {
    return std::uniform_int_distribution<int>(least, most)(random_);
  }

  // What the broker and the machines know of the API server leads to the proxy.
  void StartReplica(int i, BrokerProcess::Options options = {}) {
    std::string kubeconfig = ReadFile(broker_kubeconfig());
    kubeconfig.replace(kubeconfig.find(cluster().url()), cluster().url().size(),
                       api_url_);
    options.kubeconfig = dir_.Write("proxied.kubeconfig", kubeconfig);
    options.join_window = absl::FormatDuration(kJoinWindow);
    options.fetch_grace = "1m";
    options.log_level = "info";
    options.provisioner_port = provisioner_ports_[i];
    options.node_port = node_ports_[i];
    options.more_config =
        fmt::format("audit: {{file: {}}}\nmetrics: {{listen: 127.0.0.1:0}}\n",
                    AuditFile(i));
    brokers_[i] = StartBroker(options);
    SearchLater(AuditFile(i));
  }
  std::string AuditFile(int i) const {
    return dir_.File(fmt::format("audit-{}.log", i));
  }
  void SetFaults(bool on) {
    for (FaultProxy* proxy : {api_.get(), provisioners_.get(), nodes_.get()}) {
      proxy->SetFaults(on);
    }
  }

  // A provisioner that asks, with one request_id, until it is answered.
  std::string TicketFor(const std::string& node) {
    latchkey::v1::IssueTokenRequest request = RequestFor(node);
    request.set_request_id("chaos-" + node);
    const latchkey::IssuedIdentity who = pki().Client(kAutoscaler);
    latchkey::v1::IssueTokenResponse response;
    absl::Status status;
    WaitUntil(
        [&] {
          const auto channel = latchkey::OpenBrokerChannel(
              {.endpoint = fmt::format("127.0.0.1:{}", provisioners_->port()),
               .certificate_authorities = pki().ca_pem(),
               .certificate_pem = who.certificate_pem,
               .private_key_pem = who.private_key_pem});
          grpc::ClientContext context;
          context.set_deadline(
              absl::ToChronoTime(absl::Now() + absl::Seconds(5)));
          status = latchkey::FromGrpcStatus(
              latchkey::v1::TokenBroker::NewStub(channel)->IssueToken(
                  &context, request, &response));
          return status.ok();
        },
        kJoinPatience);
    EXPECT_THAT(status, IsOk());
    if (!status.ok()) return "";
    KeepSecret(response.ticket().substr(11, 32));
    return response.ticket();
  }

  // Lets `count` machines join at once, and answers them.
  std::vector<Unit*> Surge(const std::string& prefix, int count) {
    std::vector<Unit*> surge;
    std::vector<std::string> tickets(count);
    {
      std::mutex mutex;
      std::vector<std::jthread> provisioners;
      for (int lane = 0; lane < 4; ++lane) {
        provisioners.emplace_back([&, lane] {
          for (int i = lane; i < count; i += 4) {
            std::string ticket = TicketFor(fmt::format("{}-{}", prefix, i));
            const std::lock_guard lock(mutex);
            tickets[i] = std::move(ticket);
          }
        });
      }
      while (std::ranges::any_of(tickets,
                                 [&](const std::string& ticket) {
                                   const std::lock_guard lock(mutex);
                                   return ticket.empty();
                                 }) &&
             !HasFailure()) {
        MakeTrouble();
      }
    }
    for (int i = 0; i < count; ++i) {
      Unit& unit = NewUnit(fmt::format("{}-{}", prefix, i));
      unit.machine().UseTicket(
          pki(), fmt::format("127.0.0.1:{}", nodes_->port()), tickets[i]);
      ticket_of_[&unit] = tickets[i];
      unit.Start();
      surge.push_back(&unit);
    }
    return surge;
  }
  Unit& NewUnit(const std::string& node) {
    units_.push_back(std::make_unique<Unit>(node));
    return *units_.back();
  }

  // Whoever has seen the user-data of a machine, and whoever has its token.
  // They come when the machine has claimed its ticket.
  void SendThieves(const Unit& victim) {
    const std::string& ticket = ticket_of_[&victim];
    absl::StatusOr<latchkey::StoredToken> token = absl::UnknownError("");
    WaitUntil(
        [&] {
          MakeTrouble();
          token = Record(IdOf(ticket));
          return token.ok() && token->record.state != TokenState::kIssued;
        },
        kJoinPatience);
    ASSERT_THAT(token, IsOk());
    Unit& of_ticket = NewUnit(victim.name());
    of_ticket.machine().UseTicket(
        pki(), fmt::format("127.0.0.1:{}", nodes_->port()), ticket);
    thieves_of_[victim.name()].push_back(&of_ticket);
    with_ticket_.push_back(&of_ticket);
    const std::string secret(token->record.secret.Reveal());
    for (const std::string& name :
         {victim.name(), std::string("worker-evil")}) {
      Unit& of_token = NewUnit(name);
      of_token.machine().UseToken(api_url_, cluster_ca_file(),
                                  IdOf(ticket) + "." + secret);
      thieves_of_[victim.name()].push_back(&of_token);
    }
    for (Unit* thief : thieves_of_[victim.name()]) thief->Start();
  }

  // What happens around the machines until all of them are done, or `patience`
  // is over. A machine that has joined gets its Node, as its kubelet would make
  // it, though not before its thieves have had their answer: until then its
  // token is one that lets somebody in.
  bool AwaitJoined(const std::vector<Unit*>& units, absl::Duration patience) {
    return WaitUntil(
        [&] {
          MakeTrouble();
          bool all = true;
          for (Unit* unit : units) {
            if (!unit->IsDone() ||
                !std::ranges::all_of(thieves_of_[unit->name()],
                                     &Unit::IsDone)) {
              all = false;
            } else if (!has_node_.contains(unit->name())) {
              latchkey::kubernetes::Node node;
              node.mutable_metadata()->set_name(unit->name());
              const absl::Status made = Admin().Create(node).status();
              if (made.ok() || absl::IsAlreadyExists(made)) {
                has_node_.insert(unit->name());
              } else {
                all = false;
              }
            }
          }
          return all;
        },
        patience);
  }

  // Between the calls, a moment passes; now and then something is killed or
  // frozen, or comes back.
  void MakeTrouble() {
    absl::SleepFor(absl::Milliseconds(20));
    const absl::Time now = absl::Now();
    if (!trouble_ || now < next_trouble_) return;
    next_trouble_ = now + absl::Milliseconds(Draw(200, 1200));
    // The two that take seconds to come back not too often, or there would be
    // no cluster to speak of.
    if (now >= next_outage_ &&
        MakeOneOf(outages_, {{"etcd", 1}, {"kube-apiserver", 1}})) {
      next_outage_ = now + absl::Seconds(10);
      return;
    }
    MakeOneOf(troubles_,
              {{kBroker, 3}, {kMachine, 5}, {"kube-controller-manager", 2}});
  }

  struct Trouble {
    std::string program;
    bool kill;
  };
  // One from a deck in which each program's kill and freeze are so often; it is
  // shuffled anew when it is used up, so each comes in its turn. What cannot be
  // done now is still owed. False if nothing can.
  bool MakeOneOf(std::vector<Trouble>& deck,
                 const std::map<std::string, int>& often) {
    if (deck.empty()) {
      for (const auto& [program, count] : often) {
        for (int i = 0; i < count; ++i) {
          deck.push_back({program, true});
          deck.push_back({program, false});
        }
      }
      std::ranges::shuffle(deck, random_);
    }
    const auto done = std::ranges::find_if(
        deck, [this](const Trouble& trouble) { return Make(trouble); });
    if (done == deck.end()) return false;
    deck.erase(done);
    return true;
  }
  // False if it cannot be done now.
  bool Make(const Trouble& trouble) {
    bool done = false;
    if (trouble.program == kBroker) {
      done = TroubleBroker(Draw(0, 1), trouble.kill);
    } else if (trouble.program == kMachine) {
      done = TroubleMachine(trouble.kill);
    } else {
      done = TroubleCluster(trouble);
    }
    if (done) ++faults_[NameOf(trouble)];
    return done;
  }
  static std::string NameOf(const Trouble& trouble) {
    return (trouble.kill ? "kill -9 " : "freeze ") + trouble.program;
  }
  void Later(int milliseconds, std::function<void()> mend) {
    mender_.Later(absl::Milliseconds(milliseconds), std::move(mend));
  }

  bool TroubleBroker(int i, bool kill) {
    if (broker_in_trouble_[i].exchange(true)) return false;
    if (kill) {
      brokers_[i]->Stop(SIGKILL);
      Later(Draw(100, 1500), [this, i] {
        brokers_[i]->StartAgain();
        broker_in_trouble_[i] = false;
      });
    } else {
      brokers_[i]->Signal(SIGSTOP);
      Later(Draw(200, 4000), [this, i] {
        brokers_[i]->Signal(SIGCONT);
        broker_in_trouble_[i] = false;
      });
    }
    return true;
  }

  bool TroubleMachine(bool kill) {
    std::vector<Unit*> busy;
    for (const auto& unit : units_) {
      if (!unit->IsDone()) busy.push_back(unit.get());
    }
    if (busy.empty()) return false;
    Unit* unit = busy[Draw(0, static_cast<int>(busy.size()) - 1)];
    if (kill) return unit->Signal(SIGKILL);
    if (!unit->Signal(SIGSTOP)) return false;
    Later(Draw(100, 2000), [unit] { unit->Signal(SIGCONT); });
    return true;
  }

  // One at a time.
  bool TroubleCluster(const Trouble& trouble) {
    if (cluster_in_trouble_) return false;
    // One that is on its way back from a kill cannot be killed.
    if (!cluster()
             .Kill(trouble.program, trouble.kill ? SIGKILL : SIGSTOP)
             .ok()) {
      return false;
    }
    cluster_in_trouble_ = true;
    Later(Draw(300, 2500), [this, trouble] {
      if (!trouble.kill) {
        EXPECT_THAT(cluster().Kill(trouble.program, SIGCONT), IsOk());
      }
      cluster_in_trouble_ = false;
    });
    return true;
  }

  // Faults are over: what is frozen thaws, what is dead is started.
  void EndTrouble() {
    trouble_ = false;
    SetFaults(false);
    ASSERT_TRUE(WaitUntil([this] { return mender_.IsDone(); }));
    ASSERT_THAT(cluster().AwaitReady(), IsOk());
  }

  // How often each kind of fault struck, those that never did included.
  std::map<std::string, int> Faults() const {
    static const std::map<ConnectionFate, std::string> kNames = {
        {ConnectionFate::kRefused, "refused"},
        {ConnectionFate::kSlow, "slow"},
        {ConnectionFate::kCut, "cut"},
        {ConnectionFate::kHalfClosed, "half-closed"},
        {ConnectionFate::kAnswerLost, "answer lost"},
        {ConnectionFate::kSilent, "silent"}};
    std::map<std::string, int> all = faults_;
    for (const char* program : {kBroker, kMachine, "kube-controller-manager",
                                "kube-apiserver", "etcd"}) {
      for (const bool kill : {true, false}) all[NameOf({program, kill})] += 0;
    }
    for (const auto& [fate, name] : kNames) {
      int& count = all["connection " + name];
      for (const auto* proxy :
           {api_.get(), provisioners_.get(), nodes_.get()}) {
        const auto strikes = proxy->Strikes();
        const auto found = strikes.find(fate);
        if (found != strikes.end()) count += found->second;
      }
    }
    return all;
  }
  bool EveryKindHasStruck() const {
    return std::ranges::all_of(
        Faults(), [](const auto& fault) { return fault.second > 0; });
  }
  void CheckFaults() const {
    for (const auto& [fault, count] : Faults()) {
      std::cerr << fmt::format("  {:5} {}\n", count, fault);
      EXPECT_GT(count, 0) << fault;
    }
  }

  static absl::Duration Slowest(const std::vector<Unit*>& units) {
    absl::Duration slowest;
    for (const Unit* unit : units) slowest = std::max(slowest, unit->took());
    return slowest;
  }

  // ---- what must be true at the end

  void CheckJoined(const Unit& unit) {
    EXPECT_EQ(unit.outcome(), 0)
        << unit.name() << ReadFile(unit.machine().dir().File("join.log"));
    const auto chain =
        latchkey::Certificate::ParseAll(ReadFile(unit.machine().current_pem()));
    ASSERT_THAT(chain, IsOk()) << unit.name();
    key_of_[IdOf(ticket_of_[&unit])] = chain->front().key_digest;
  }

  // From the objects: one approved request a token, and it is of the machine's
  // own key. Answers what was denied.
  std::set<std::string> CheckRequests() {
    std::map<std::string, int> approved;
    std::set<std::string> denied;
    const auto all =
        Admin().List<latchkey::kubernetes::CertificateSigningRequestList>({});
    EXPECT_THAT(all, IsOk());
    if (!all.ok()) return denied;
    for (const Csr& csr : all->items()) {
      const std::string id =
          csr.spec().username().substr(std::string("system:bootstrap:").size());
      bool is_approved = !csr.status().certificate().empty();
      for (const auto& condition : csr.status().conditions()) {
        if (condition.type() == "Approved") is_approved = true;
        if (condition.type() == "Denied") denied.insert(csr.metadata().name());
      }
      if (!is_approved) continue;
      ++approved[id];
      const auto request =
          latchkey::CertificateRequest::Parse(csr.spec().request());
      EXPECT_TRUE(request.ok() && key_of_.contains(id) &&
                  request->key_digest == key_of_[id])
          << csr.metadata().name() << " is of a key that is no machine's";
    }
    for (const auto& [id, key] : key_of_) {
      EXPECT_EQ(approved[id], 1) << "approved requests of the token " << id;
    }
    std::cerr << approved.size() << " tokens with an approved request, "
              << denied.size() << " requests denied\n";
    return denied;
  }

  // The same from the API server's own audit log, which knows of requests that
  // are gone. A line can be missing of a request whose answer was cut off by a
  // kill.
  void CheckClusterAudit(const std::set<std::string>& denied) {
    const auto field = [](const std::string& line, const std::string& name) {
      const std::string key = "\"" + name + "\":\"";
      const size_t at = line.find(key);
      if (at == std::string::npos) return std::string();
      const size_t begin = at + key.size();
      return line.substr(begin, line.find('"', begin) - begin);
    };
    std::map<std::string, std::string> token_of;
    std::map<std::string, std::set<std::string>> approved;
    std::ifstream log(cluster().Path("logs/audit.log"));
    for (std::string line; std::getline(log, line);) {
      if (field(line, "resource") != "certificatesigningrequests") continue;
      const std::string name = field(line, "name");
      const std::string user = field(line, "username");
      const std::string prefix = "system:bootstrap:";
      if (user.starts_with(prefix) && field(line, "verb") == "create") {
        token_of[name] = user.substr(prefix.size());
      }
      if (field(line, "subresource") == "approval" &&
          line.find("\"code\":200") != std::string::npos &&
          !denied.contains(name)) {
        approved[name].insert(user);
      }
    }
    EXPECT_GE(approved.size(), key_of_.size() / 2) << "is this the audit log?";
    std::map<std::string, int> of_token;
    for (const auto& [name, users] : approved) {
      if (token_of.contains(name)) ++of_token[token_of[name]];
      EXPECT_EQ(users, (std::set<std::string>{
                           "system:serviceaccount:kube-system:latchkey"}));
    }
    for (const auto& [id, count] : of_token) EXPECT_EQ(count, 1) << id;
  }

  void CheckBrokersAudit() {
    const ProgramResult verified =
        RunProgram({BuiltProgram("latchkeyctl"), "audit", "verify",
                    AuditFile(0), AuditFile(1)},
                   {});
    EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
  }

  // Each was refused: it neither joined nor failed for want of trying.
  void CheckThieves() {
    EXPECT_THAT(with_ticket_, Not(IsEmpty()));
    for (const auto& [victim, thieves] : thieves_of_) {
      for (const Unit* thief : thieves) {
        EXPECT_EQ(thief->outcome(), 3)
            << "as " << thief->name() << ": " << LogOf(*thief);
        EXPECT_FALSE(std::filesystem::exists(thief->machine().current_pem()));
      }
    }
    // The last two are for one whom the faults held up for a minute.
    for (const Unit* thief : with_ticket_) {
      EXPECT_THAT(
          LogOf(*thief),
          AnyOf(HasSubstr("TICKET_ALREADY_CLAIMED"), HasSubstr("TOKEN_SPENT"),
                HasSubstr("TOKEN_EXPIRED"), HasSubstr("TICKET_UNKNOWN")));
    }
  }
  static std::string LogOf(const Unit& unit) {
    return ReadFile(unit.machine().dir().File("join.log"));
  }

  std::vector<latchkey::kubernetes::Secret> RecordsLeft() {
    const auto secrets = Admin().List<latchkey::kubernetes::SecretList>(
        {.name_space = "kube-system",
         .label_selector = "app.kubernetes.io/managed-by=latchkey"});
    EXPECT_THAT(secrets, IsOk());
    if (!secrets.ok()) return {};
    return {secrets->items().begin(), secrets->items().end()};
  }

  const uint64_t seed_ =
      NumberFrom("LATCHKEY_CHAOS_SEED", std::random_device()());
  std::mt19937_64 random_{seed_};
  TempDir dir_;
  std::unique_ptr<FaultProxy> api_;
  std::unique_ptr<FaultProxy> provisioners_;
  std::unique_ptr<FaultProxy> nodes_;
  std::string api_url_;
  std::vector<int> provisioner_ports_;
  std::vector<int> node_ports_;
  std::unique_ptr<BrokerProcess> brokers_[2];

  std::vector<std::unique_ptr<Unit>> units_;
  std::map<std::string, std::vector<Unit*>> thieves_of_;  // by their victim
  std::vector<Unit*> with_ticket_;                        // the thieves of one
  std::map<const Unit*, std::string> ticket_of_;
  std::map<std::string, std::string> key_of_;  // by token id
  std::set<std::string> has_node_;

  bool trouble_ = false;
  absl::Time next_trouble_ = absl::InfinitePast();
  absl::Time next_outage_ = absl::InfinitePast();
  std::atomic<bool> broker_in_trouble_[2] = {};
  std::atomic<bool> cluster_in_trouble_ = false;
  std::vector<Trouble> troubles_;
  std::vector<Trouble> outages_;
  std::map<std::string, int> faults_;
  // The last to begin: brokers that it starts again end with its thread.
  Mender mender_;
};

TEST_F(ChaosE2eTest, EveryHonestMachineJoinsOnceAndNoThiefDoes) {
  const auto phase = absl::Seconds(NumberFrom("LATCHKEY_CHAOS_SECONDS", 30));
  std::cerr << "LATCHKEY_CHAOS_SEED=" << seed_ << "\n";
  StartReplica(0);
  StartReplica(1);
  std::vector<Unit*> honest = Surge("worker-calm", kMachinesAtATime);
  ASSERT_TRUE(AwaitJoined(honest, kJoinPatience));
  const absl::Duration calm = Slowest(honest);

  trouble_ = true;
  SetFaults(true);
  const absl::Time begin = absl::Now();
  absl::Duration wild;
  const auto is_over = [&] {
    const absl::Duration past = absl::Now() - begin;
    return past >= phase + kFaultPatience ||
           (past >= phase && EveryKindHasStruck());
  };
  for (int round = 0; !is_over() && !HasFailure(); ++round) {
    const auto surge =
        Surge(fmt::format("worker-wild-{}", round), kMachinesAtATime);
    for (int i = 0; i < kThievesAtATime; ++i) SendThieves(*surge[i]);
    ASSERT_TRUE(AwaitJoined(surge, kJoinPatience)) << "in round " << round;
    wild = std::max(wild, Slowest(surge));
    honest.insert(honest.end(), surge.begin(), surge.end());
  }
  EndTrouble();
  std::cerr << honest.size() << " machines; the slowest join took " << calm
            << " without faults, " << wild << " with\n";
  CheckFaults();
  CheckThieves();

  for (const Unit* unit : honest) CheckJoined(*unit);
  const std::set<std::string> denied = CheckRequests();
  EXPECT_THAT(denied, Not(IsEmpty())) << "no thief of a token has tried it";
  CheckClusterAudit(denied);
  CheckBrokersAudit();
  // A single silent connection costs seconds, however fast the calm run was.
  EXPECT_LE(wild, std::max(10 * calm, absl::Seconds(30)));

  // Each token was spent, and at last nothing of it is left.
  EXPECT_TRUE(WaitUntil(
      [&] {
        return std::ranges::all_of(RecordsLeft(), [](const auto& secret) {
          const auto& labels = secret.metadata().labels();
          const auto state = labels.find("latchkey.dev/state");
          return state != labels.end() && state->second == "spent";
        });
      },
      absl::Minutes(1)));
  EXPECT_TRUE(WaitUntil([&] { return RecordsLeft().empty(); },
                        kJoinWindow + absl::Minutes(1)))
      << RecordsLeft().size() << " records are left";
  CheckThieves();
  CheckRequests();
}

class RecoveryE2eTest : public ChaosE2eTest {
 protected:
  Unit& NewMachine(const std::string& node) {
    const std::string ticket = TicketFor(node);
    Unit& unit = NewUnit(node);
    unit.machine().UseTicket(pki(), fmt::format("127.0.0.1:{}", nodes_->port()),
                             ticket);
    return unit;
  }
  // From now until it has joined.
  static absl::Duration TimeToJoin(const Unit& unit) {
    const absl::Time start = absl::Now();
    EXPECT_TRUE(WaitUntil([&] { return unit.IsDone(); }));
    EXPECT_EQ(unit.outcome(), 0);
    EXPECT_EQ(unit.runs(), 1) << "it took more than one run";
    return absl::Now() - start;
  }
};

TEST_F(RecoveryE2eTest, ABrokerKilledInAClaimCostsTheJoinNoFiveSeconds) {
  StartReplica(0);
  StartReplica(1);
  nodes_->SetInOrder();
  Unit& unit = NewMachine("worker-claims");
  // It has the call, and stands still before it writes the record.
  ASSERT_THAT(cluster().Kill("kube-apiserver", SIGSTOP), IsOk());
  unit.Start();
  const bool in_the_claim = WaitUntil([&] {
    return HttpGet(brokers_[0]->metrics_port(), "/metrics")
               .find("latchkey_calls_running{port=\"node\"} 1\n") !=
           std::string::npos;
  });
  brokers_[0]->Stop(SIGKILL);
  ASSERT_THAT(cluster().Kill("kube-apiserver", SIGCONT), IsOk());
  ASSERT_TRUE(in_the_claim);
  const absl::Duration took = TimeToJoin(unit);
  std::cerr << "joined " << took << " after the kill in a claim\n";
  EXPECT_LT(took, absl::Seconds(5));
}

TEST_F(RecoveryE2eTest,
       ABrokerKilledBeforeAnApprovalCostsTheJoinNoFiveSeconds) {
  // The faulty one reserves first now and then only: both watch.
  StartReplica(0, {.program = "latchkeyd-with-faults",
                   .environment = {{"LATCHKEY_DIE_AT", "approver.reserved"}}});
  StartReplica(1);
  for (int i = 0; i < 40 && brokers_[0]->Running(); ++i) {
    Unit& unit = NewMachine(fmt::format("worker-waits-{}", i));
    unit.Start();
    ASSERT_TRUE(
        WaitUntil([&] { return unit.IsDone() || !brokers_[0]->Running(); }));
    const absl::Duration took = TimeToJoin(unit);
    if (brokers_[0]->Running()) continue;
    std::cerr << "joined " << took << " after the kill before an approval\n";
    EXPECT_LT(took, absl::Seconds(5));
  }
  EXPECT_FALSE(brokers_[0]->Running()) << "it never came to reserve anything";
}

}  // namespace
}  // namespace latchkey_testing
