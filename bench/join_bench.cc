#include <cstddef>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/time/clock.h>
#include <fmt/format.h>

#include "bench/benches.h"
#include "bench/join_one.h"
#include "bench/load.h"
#include "bench/site.h"
#include "core/status_macros.h"
#include "crypto/random.h"

namespace latchkey_bench {
namespace {

using latchkey_testing::ControlPlane;
using latchkey_testing::ProgramResult;
using latchkey_testing::ReadFile;
using latchkey_testing::TempDir;

// The controllers may make 20 requests a second each, and 30 at once after a
// rest (the defaults of kube-controller-manager): 1.5 s without work fill that
// burst up. Every measurement begins after this much rest.
constexpr absl::Duration kRest = absl::Seconds(4);
// The stock approver makes two requests for each join: more than this in a row
// would empty its burst, and then measure the pace of the budget.
constexpr int kUnloadedBatch = 10;
constexpr double kFastManager = 2000;

// Where the nodes keep their files. On the disk it is a node's own disk that
// is meant, though etcd waits for the same one. The disk of one machine cannot
// stand for those of 50 nodes at once: a surge keeps them in memory.
enum class NodeFilesOn { kDisk, kMemory };

TempDir MakeNodeDir(NodeFilesOn on) {
  return on == NodeFilesOn::kDisk ? TempDir() : TempDir("/dev/shm");
}

struct Plan {
  int rounds;
  int unloaded_batches;
  LoadShape surge;
};

void Rest() { absl::SleepFor(kRest); }

// The number after `"key":`, in JSON of ours.
double NumberIn(std::string_view json, std::string_view key) {
  const std::string quoted = fmt::format("\"{}\":", key);
  const size_t at = json.find(quoted);
  if (at == std::string_view::npos) return 0;
  return std::strtod(json.data() + at + quoted.size(), nullptr);
}

std::vector<absl::Duration> LatenciesIn(const std::string& json) {
  std::vector<absl::Duration> latencies;
  size_t at = json.find("\"latencies_ms\": [");
  if (at == std::string::npos) return latencies;
  const size_t end = json.find(']', at);
  for (at = json.find('[', at); at < end; at = json.find(',', at + 1)) {
    latencies.push_back(
        absl::Milliseconds(std::strtod(json.c_str() + at + 1, nullptr)));
  }
  return latencies;
}

// Joins with the kubelet's bootstrap code, each over a connection of its own.
absl::StatusOr<Sample> JoinStock(const ControlPlane& cluster,
                                 const LoadShape& shape, NodeFilesOn on) {
  const TempDir dir = MakeNodeDir(on);
  const CpuMeter meter;
  const ProgramResult result = cluster.Run(
      {"stock-join", "--kubeconfig", cluster.admin_kubeconfig(), "--count",
       std::to_string(shape.count), "--parallel", std::to_string(shape.at_once),
       "--node-prefix",
       fmt::format("stock-{}", latchkey::RandomBase36(8).Reveal()), "--dir",
       dir.File("nodes"), "--json", dir.File("report"), "--own-connection"});
  if (result.exit_code != 0) {
    return absl::InternalError("stock-join: " + result.err);
  }
  const std::string json = ReadFile(dir.File("report"));
  Sample sample{.latencies = LatenciesIn(json),
                .wall = absl::Seconds(NumberIn(json, "wall_seconds")),
                .cpu = meter.Used()};
  if (sample.latencies.size() != static_cast<size_t>(shape.count)) {
    return absl::InternalError("stock-join reports other joins than asked for");
  }
  return sample;
}

absl::StatusOr<Sample> JoinOurs(const Site& site, const LoadShape& shape,
                                NodeFilesOn on) {
  const TempDir dir = MakeNodeDir(on);
  const auto channel = site.ProvisionerChannel();
  const std::string batch(latchkey::RandomBase36(8).Reveal());
  const auto name = [&](size_t i) {
    return fmt::format("worker-{}-{}", batch, i);
  };
  std::vector<latchkey::Ticket> tickets;
  for (size_t i = 0; i < static_cast<size_t>(shape.count); ++i) {
    LATCHKEY_ASSIGN_OR_RETURN(
        const auto issued,
        IssueToken(channel, TicketRequest(name(i), name(i))));
    LATCHKEY_ASSIGN_OR_RETURN(latchkey::Ticket ticket,
                              latchkey::Ticket::Parse(issued.ticket()));
    tickets.push_back(std::move(ticket));
  }
  const latchkey::BrokerEndpoint endpoint = {
      .address = site.broker().node_endpoint(), .ca_pem = site.pki().ca_pem()};
  std::vector<JoinSteps> steps(tickets.size());
  LATCHKEY_ASSIGN_OR_RETURN(
      Sample sample, RunLoad(shape, [&](int i) -> absl::Status {
        const auto slot = static_cast<size_t>(i);
        LATCHKEY_ASSIGN_OR_RETURN(
            steps[slot], JoinOne(endpoint, name(slot), tickets[slot], dir));
        return absl::OkStatus();
      }));
  for (const JoinSteps& of_one : steps) {
    for (const auto& [step, time] : of_one) sample.steps[step].push_back(time);
  }
  return sample;
}

// What one control plane yields.
struct Measured {
  Sample on_disk;    // one at a time
  Sample in_memory;  // the same
  Sample surge;
};

// `join` joins machines of a given number, so many at once.
template <typename Join>
absl::StatusOr<Measured> Measure(const Plan& plan, int unloaded_batches,
                                 const Join& join) {
  const LoadShape batch = {.count = kUnloadedBatch, .at_once = 1};
  Rest();
  LATCHKEY_RETURN_IF_ERROR(join(batch, NodeFilesOn::kMemory).status());
  Measured measured;
  for (int i = 0; i < unloaded_batches; ++i) {
    Rest();
    LATCHKEY_ASSIGN_OR_RETURN(const Sample on_disk,
                              join(batch, NodeFilesOn::kDisk));
    measured.on_disk.Add(on_disk);
    Rest();
    LATCHKEY_ASSIGN_OR_RETURN(const Sample in_memory,
                              join(batch, NodeFilesOn::kMemory));
    measured.in_memory.Add(in_memory);
  }
  Rest();
  LATCHKEY_ASSIGN_OR_RETURN(measured.surge,
                            join(plan.surge, NodeFilesOn::kMemory));
  return measured;
}

absl::StatusOr<Measured> MeasureStock(const Plan& plan, double manager_qps,
                                      int unloaded_batches) {
  LATCHKEY_ASSIGN_OR_RETURN(const std::unique_ptr<ControlPlane> cluster,
                            StartControlPlane(Approver::kStock, manager_qps));
  return Measure(plan, unloaded_batches,
                 [&](const LoadShape& shape, NodeFilesOn on) {
                   return JoinStock(*cluster, shape, on);
                 });
}

absl::StatusOr<Measured> MeasureOurs(const Plan& plan, double manager_qps,
                                     int unloaded_batches) {
  LATCHKEY_ASSIGN_OR_RETURN(const std::unique_ptr<Site> site,
                            Site::Start(manager_qps));
  return Measure(plan, unloaded_batches,
                 [&](const LoadShape& shape, NodeFilesOn on) {
                   return JoinOurs(*site, shape, on);
                 });
}

}  // namespace

absl::Status BenchJoin(Effort effort, Report& report) {
  const bool full = effort == Effort::kFull;
  const Plan plan = {.rounds = full ? 3 : 1,
                     .unloaded_batches = full ? 4 : 1,
                     .surge = {.count = full ? 200 : 60, .at_once = 50}};
  constexpr Goal kUnloaded = {Better::kLess, 1.3};
  constexpr Goal kSurge = {Better::kMore, 1.8};
  constexpr Goal kFastSurge = {Better::kMore, 8};

  Comparison on_disk;
  Comparison in_memory;
  Comparison surge;
  Comparison fast;       // against the stock default
  Comparison both_fast;  // against stock with the same budget
  for (int round = 0; round < plan.rounds; ++round) {
    const auto say = [&](std::string_view what) {
      Say(fmt::format("join: round {} of {}: {}", round + 1, plan.rounds,
                      what));
    };
    say("stock");
    LATCHKEY_ASSIGN_OR_RETURN(Measured stock,
                              MeasureStock(plan, 0, plan.unloaded_batches));
    say("Latchkey");
    LATCHKEY_ASSIGN_OR_RETURN(Measured ours,
                              MeasureOurs(plan, 0, plan.unloaded_batches));
    say("Latchkey, fast controller manager");
    LATCHKEY_ASSIGN_OR_RETURN(Measured ours_fast,
                              MeasureOurs(plan, kFastManager, 0));
    say("stock, fast controller manager");
    LATCHKEY_ASSIGN_OR_RETURN(Measured stock_fast,
                              MeasureStock(plan, kFastManager, 0));
    on_disk.AddRound(std::move(ours.on_disk), std::move(stock.on_disk));
    in_memory.AddRound(std::move(ours.in_memory), std::move(stock.in_memory));
    surge.AddRound(std::move(ours.surge), stock.surge);
    fast.AddRound(ours_fast.surge, std::move(stock.surge));
    both_fast.AddRound(std::move(ours_fast.surge), std::move(stock_fast.surge));
  }

  report.AddCondition(
      "join",
      fmt::format("latchkey-join's code, from ticket to files, against the "
                  "kubelet's, from bootstrap token to files; each node with "
                  "connections of its own; {} rounds",
                  plan.rounds));
  report.AddCondition(
      "join: budgets",
      fmt::format("one control plane at a time, {} of rest before each "
                  "measurement, so that every controller begins with its whole "
                  "burst; a surge is {} nodes, {} at once",
                  absl::FormatDuration(kRest), plan.surge.count,
                  plan.surge.at_once));
  report.Add(on_disk.LatencyFigure("join: one at a time, p50", 50, kUnloaded));
  report.Add(
      on_disk.LatencyFigure("join: one at a time, p99", 99, std::nullopt));
  for (const std::string step : {"key", "claim", "ask", "wait", "files"}) {
    report.Add(on_disk.StepFigure("join: one at a time, p50 of", step));
  }
  report.Add(in_memory.LatencyFigure(
      "join: one at a time, files in memory, p50", 50, std::nullopt));
  report.Add(surge.RateFigure("surge: default signer", kSurge));
  report.Add(
      surge.LatencyFigure("surge: default signer, p50", 50, std::nullopt));
  report.Add(
      fast.RateFigure("surge: 2000 QPS against stock default", kFastSurge));
  report.Add(both_fast.RateFigure("surge: 2000 QPS against stock 2000 QPS",
                                  std::nullopt));
  report.Add(both_fast.CpuFigures("surge: 2000 QPS"));
  return absl::OkStatus();
}

}  // namespace latchkey_bench
