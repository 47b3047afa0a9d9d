// What a call costs beside a bare gRPC call, and what one provisioner feels of
// another one's flood. The store is in memory: no control plane is needed.

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <absl/time/clock.h>
#include <fmt/format.h>

#include "bench/benches.h"
#include "bench/load.h"
#include "bench/site.h"
#include "clients/broker/broker_channel.h"
#include "core/status_macros.h"
#include "server/grpc_listener.h"
#include "services/call_credentials.h"
#include "services/call_frame.h"
#include "storage/memory_token_store.h"
#include "tests/e2e/test_pki.h"
#include "tests/fakes/provisioner_side.h"
#include "tests/fakes/slow_token_store.h"

namespace latchkey_bench {
namespace {

constexpr char kFlooder[] = "spiffe://example.org/flooder";
constexpr absl::Duration kWrite = absl::Milliseconds(5);

// Answers at once with what it was asked.
class Echo final : public latchkey::v1::TokenBroker::CallbackService {
 public:
  grpc::ServerUnaryReactor* IssueToken(
      grpc::CallbackServerContext* context,
      const latchkey::v1::IssueTokenRequest* request,
      latchkey::v1::IssueTokenResponse* response) override {
    *response->mutable_token()->mutable_scope() = request->scope();
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

latchkey::PolicyRule RuleForBoth() {
  latchkey::PolicyRule rule;
  rule.name = "workers";
  for (const char* who : {latchkey_testing::kAutoscaler, kFlooder}) {
    latchkey::IdentityMatcher matcher;
    matcher.attributes.emplace("spiffe_id", who);
    rule.provisioners.push_back(std::move(matcher));
  }
  rule.node_names = {"worker-*"};
  return rule;
}

// The broker's provisioner port over a store in memory.
struct MemoryBroker {
  explicit MemoryBroker(absl::Duration write) { slow.delay = write; }

  latchkey::SystemClock clock;
  latchkey::MemoryTokenStore memory{clock};
  latchkey_testing::SlowTokenStore slow{memory};
  latchkey::LivePolicy policy{latchkey::Policy({RuleForBoth()})};
  latchkey::NoAuditLog audit;
  latchkey::MisuseGuard misuse{slow, policy, audit, clock};
  latchkey::RecordIndex index;
  latchkey::TokenBroker broker{{}, slow, policy, misuse, index, clock};
  latchkey::ClusterSource cluster = [] {
    return latchkey::ClusterEndpoints{{"https://10.0.0.1:6443"}, "", "bench"};
  };
  latchkey::BrokerMetrics metrics;
  latchkey::Authenticator authenticator{nullptr, {}, clock};
  latchkey::CredentialAuthenticator callers{authenticator};
  latchkey::CallFrame frame{
      {.queue = {.threads = 96, .max_running_of_one = 72}},
      callers,
      audit,
      metrics,
      clock};
  latchkey_testing::ProvisionerSide side{broker,  slow,  policy,
                                         cluster, frame, clock};
};

// A server in a process of its own, whose processor time can be told from the
// callers'.
class ServerProcess {
 public:
  enum class Kind { kEcho, kBroker, kSlowBroker };

  ServerProcess(Kind kind, const latchkey_testing::TestPki& pki) {
    const auto files = pki.Save("rpc-server", pki.Server());
    const latchkey::ListenerConfig config{.listen = "127.0.0.1:0",
                                          .certificate_file = files.certificate,
                                          .private_key_file = files.private_key,
                                          .client_ca_file = pki.ca_file()};
    int ends[2];
    if (pipe(ends) != 0) return;
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      Serve(kind, config, ends[1]);
    }
    close(ends[1]);
    if (read(ends[0], &port_, sizeof(port_)) != sizeof(port_)) port_ = 0;
    close(ends[0]);
  }
  ~ServerProcess() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  int port() const { return port_; }

  // So far.
  absl::Duration ProcessorTime() const {
    std::ifstream file(fmt::format("/proc/{}/stat", pid_));
    std::string text((std::istreambuf_iterator<char>(file)), {});
    // After the name, which may hold anything: state, then eleven more.
    std::istringstream rest(text.substr(text.rfind(')') + 2));
    std::string skipped;
    for (int i = 0; i < 11; ++i) rest >> skipped;
    int64_t user = 0;
    int64_t system = 0;
    rest >> user >> system;
    return absl::Seconds(static_cast<double>(user + system) /
                         static_cast<double>(sysconf(_SC_CLK_TCK)));
  }

 private:
  [[noreturn]] static void Serve(Kind kind,
                                 const latchkey::ListenerConfig& config,
                                 int answer) {
    Echo echo;
    MemoryBroker broker(kind == Kind::kSlowBroker ? kWrite
                                                  : absl::ZeroDuration());
    grpc::Service& service =
        kind == Kind::kEcho
            ? static_cast<grpc::Service&>(echo)
            : static_cast<grpc::Service&>(broker.side.service());
    const auto listener = latchkey::GrpcListener::Start(
        config, latchkey::ClientCertificates::kRequired, service, {});
    const int port = listener.ok() ? (*listener)->port() : 0;
    if (write(answer, &port, sizeof(port)) != sizeof(port)) _exit(1);
    while (true) pause();
  }

  pid_t pid_ = -1;
  int port_ = 0;
};

std::shared_ptr<grpc::Channel> Connect(const ServerProcess& server,
                                       const latchkey_testing::TestPki& pki,
                                       const std::string& who) {
  const latchkey::IssuedIdentity identity = pki.Client(who);
  return latchkey::OpenBrokerChannel(
      {.endpoint = fmt::format("localhost:{}", server.port()),
       .certificate_authorities = pki.ca_pem(),
       .certificate_pem = identity.certificate_pem,
       .private_key_pem = identity.private_key_pem,
       .user_agent = fmt::format("bench {}", who)});
}

absl::StatusOr<Sample> Issue(const std::shared_ptr<grpc::Channel>& channel,
                             const LoadShape& shape) {
  return RunLoad(shape, [&](int) {
    return IssueToken(channel, TicketRequest("worker-1", "")).status();
  });
}

// Calls for each second of the server's processor time.
absl::StatusOr<double> CallsForASecond(
    const ServerProcess& server, const std::shared_ptr<grpc::Channel>& channel,
    int count) {
  const absl::Duration before = server.ProcessorTime();
  LATCHKEY_RETURN_IF_ERROR(
      Issue(channel, {.count = count, .at_once = 16}).status());
  return count / absl::ToDoubleSeconds(server.ProcessorTime() - before);
}

absl::Status BenchCost(int count, int rounds, const ServerProcess& echo,
                       const ServerProcess& broker,
                       const latchkey_testing::TestPki& pki, Report& report) {
  const auto to_echo = Connect(echo, pki, latchkey_testing::kAutoscaler);
  const auto to_broker = Connect(broker, pki, latchkey_testing::kAutoscaler);
  Figure figure{.name = "rpc: calls for a processor second of the server",
                .unit = "1/s",
                .baseline = 0,
                .goal = Goal{Better::kMore, 0.6}};
  // The first connects, and fills the caches.
  LATCHKEY_RETURN_IF_ERROR(CallsForASecond(echo, to_echo, count).status());
  LATCHKEY_RETURN_IF_ERROR(CallsForASecond(broker, to_broker, count).status());
  for (int round = 0; round < rounds; ++round) {
    LATCHKEY_ASSIGN_OR_RETURN(const double plain,
                              CallsForASecond(echo, to_echo, count));
    LATCHKEY_ASSIGN_OR_RETURN(const double ours,
                              CallsForASecond(broker, to_broker, count));
    *figure.baseline += plain / rounds;
    figure.measured += ours / rounds;
    figure.round_ratios.push_back(ours / plain);
  }
  report.Add(std::move(figure));
  return absl::OkStatus();
}

absl::Status BenchFairness(int count, const ServerProcess& server,
                           const latchkey_testing::TestPki& pki,
                           Report& report) {
  const auto channel = Connect(server, pki, latchkey_testing::kAutoscaler);
  LATCHKEY_ASSIGN_OR_RETURN(const Sample quiet,
                            Issue(channel, {.count = count, .at_once = 1}));
  std::atomic<bool> flooding = true;
  std::vector<std::jthread> flood;
  // One at a time against a hundred at a time.
  const auto flooder = Connect(server, pki, kFlooder);
  for (int i = 0; i < 100; ++i) {
    flood.emplace_back([&] {
      while (flooding) {
        IssueToken(flooder, TicketRequest("worker-1", ""))
            .status()
            .IgnoreError();
      }
    });
  }
  const auto flooded = Issue(channel, {.count = count, .at_once = 1});
  flooding = false;
  flood.clear();
  LATCHKEY_RETURN_IF_ERROR(flooded.status());
  report.Add({.name = "rpc: p99 while another provisioner floods at 100x",
              .unit = "ms",
              .measured = absl::ToDoubleMilliseconds(flooded->Percentile(99)),
              .baseline = absl::ToDoubleMilliseconds(quiet.Percentile(99)),
              .goal = Goal{Better::kLess, 2.0}});
  return absl::OkStatus();
}

}  // namespace

absl::Status BenchRpc(Effort effort, Report& report) {
  Say("rpc: calls with a store in memory");
  const bool full = effort == Effort::kFull;
  const latchkey_testing::TestPki pki;
  // All before the first call: gRPC's threads do not survive a fork.
  using Kind = ServerProcess::Kind;
  const ServerProcess echo(Kind::kEcho, pki);
  const ServerProcess broker(Kind::kBroker, pki);
  const ServerProcess slow(Kind::kSlowBroker, pki);
  LATCHKEY_RETURN_IF_ERROR(BenchCost(full ? 20'000 : 1'000, full ? 5 : 2, echo,
                                     broker, pki, report));
  return BenchFairness(full ? 1'000 : 100, slow, pki, report);
}

}  // namespace latchkey_bench
