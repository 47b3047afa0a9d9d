#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/time/clock.h>
#include <fmt/format.h>

#include "bench/benches.h"
#include "bench/cpu_time.h"
#include "bench/load.h"
#include "bench/site.h"
#include "core/status_macros.h"
#include "core/ticket.h"
#include "crypto/random.h"
#include "storage/token_secret.h"

namespace latchkey_bench {
namespace {

using latchkey::kubernetes::Secret;

constexpr char kManagedBy[] = "app.kubernetes.io/managed-by";
// As long as "latchkey".
constexpr char kNobody[] = "nobody-s";
constexpr char kNodeName[] = "worker-0123456789";

struct Level {
  int at_once;
  int count;
};

// The Secret that IssueToken would write, but for whose it is: the broker
// watches its own, and the baseline must bear none of the broker's work.
Secret PlainSecret() {
  using latchkey::RandomBase36;
  const auto random = [](size_t length) {
    return std::string(RandomBase36(length).Reveal());
  };
  latchkey::TokenRecord record{
      .id = *latchkey::TokenId::Parse(random(latchkey::TokenId::kLength))};
  record.secret = RandomBase36(latchkey::BootstrapToken::kSecretLength);
  record.scope.node_name = kNodeName;
  record.groups = {"system:bootstrappers:latchkey"};
  record.provisioner = latchkey_testing::kAutoscaler;
  record.rule = "workers";
  record.request_key = random(64);
  record.request_digest = random(64);
  record.ticket_digest = random(64);
  record.ticket_salt = RandomBase36(latchkey::Ticket::kSecretLength);
  record.expire_time =
      absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now())) + absl::Hours(1);
  Secret secret;
  latchkey::WriteTokenSecret(record, secret);
  (*secret.mutable_metadata()->mutable_labels())[kManagedBy] = kNobody;
  return secret;
}

class IssueBench {
 public:
  IssueBench(const Site& site,
             std::unique_ptr<latchkey::KubernetesClient> client)
      : client_(std::move(client)), channel_(site.ProvisionerChannel()) {}

  absl::StatusOr<Sample> Create(const Level& level) {
    std::vector<Secret> secrets;
    for (int i = 0; i < level.count; ++i) secrets.push_back(PlainSecret());
    AwaitIdle();
    return RunLoad(
        {.count = level.count, .at_once = level.at_once}, [&](int i) {
          return client_->Create(secrets[static_cast<size_t>(i)]).status();
        });
  }

  absl::StatusOr<Sample> Issue(const Level& level) {
    const std::string batch(latchkey::RandomBase36(16).Reveal());
    AwaitIdle();
    return RunLoad(
        {.count = level.count, .at_once = level.at_once}, [&](int i) {
          const auto request =
              TicketRequest(kNodeName, fmt::format("{}-{:08}", batch, i));
          return IssueToken(channel_, request).status();
        });
  }

  // One call of `count` items, as so many operations in its time.
  absl::StatusOr<Sample> Batch(int count) {
    AwaitIdle();
    LATCHKEY_ASSIGN_OR_RETURN(Sample sample,
                              RunLoad({.count = 1, .at_once = 1}, [&](int) {
                                return IssueTokens(channel_, kNodeName, count);
                              }));
    sample.latencies.resize(static_cast<size_t>(count), sample.wall);
    return sample;
  }

  // Both ways, the one first that was second in the round before.
  absl::Status Round(const Level& level, int round, Comparison& comparison) {
    const bool issue_first = round % 2 == 0;
    absl::StatusOr<Sample> issue;
    if (issue_first) issue = Issue(level);
    const absl::StatusOr<Sample> create = Create(level);
    if (!issue_first) issue = Issue(level);
    LATCHKEY_RETURN_IF_ERROR(create.status());
    LATCHKEY_RETURN_IF_ERROR(issue.status());
    comparison.AddRound(*std::move(issue), *create);
    return RemoveTokens(*client_);
  }

  absl::Status BatchRound(const Level& level, int round,
                          Comparison& comparison) {
    const bool batch_first = round % 2 == 0;
    absl::StatusOr<Sample> batch;
    if (batch_first) batch = Batch(level.count);
    const absl::StatusOr<Sample> create = Create(level);
    if (!batch_first) batch = Batch(level.count);
    LATCHKEY_RETURN_IF_ERROR(create.status());
    LATCHKEY_RETURN_IF_ERROR(batch.status());
    comparison.AddRound(*std::move(batch), *create);
    return RemoveTokens(*client_);
  }

 private:
  const std::unique_ptr<latchkey::KubernetesClient> client_;
  const std::shared_ptr<grpc::Channel> channel_;
};

// The best rate of each way, at whatever level it had it.
Figure PeakRate(const std::vector<Comparison>& comparisons, Goal goal) {
  Figure peak{.name = "issue: peak rate", .unit = "1/s", .goal = goal};
  double baseline = 0;
  for (const Comparison& comparison : comparisons) {
    peak.measured = std::max(peak.measured, comparison.measured().Rate());
    baseline = std::max(baseline, comparison.baseline().Rate());
  }
  peak.baseline = baseline;
  return peak;
}

}  // namespace

absl::Status BenchIssue(Effort effort, Report& report) {
  const bool full = effort == Effort::kFull;
  const int rounds = full ? 10 : 2;
  const std::vector<Level> levels = {
      {1, full ? 300 : 100}, {8, full ? 800 : 200}, {64, full ? 1600 : 400}};
  constexpr Goal kMedian = {Better::kLess, 1.25};
  constexpr Goal kTail = {Better::kLess, 1.5};
  constexpr Goal kPeak = {Better::kMore, 0.9};

  Say("issue: starting a control plane");
  LATCHKEY_ASSIGN_OR_RETURN(const std::unique_ptr<Site> site, Site::Start());
  LATCHKEY_ASSIGN_OR_RETURN(auto client, site->BrokersClient());
  IssueBench bench(*site, std::move(client));
  std::vector<Comparison> comparisons(levels.size());
  for (int round = -1; round < rounds; ++round) {
    Say(round < 0 ? "issue: warming up"
                  : fmt::format("issue: round {} of {}", round + 1, rounds));
    for (size_t i = 0; i < levels.size(); ++i) {
      Comparison warm_up;
      LATCHKEY_RETURN_IF_ERROR(
          bench.Round(levels[i], round, round < 0 ? warm_up : comparisons[i]));
    }
  }

  report.AddCondition(
      "issue",
      fmt::format("IssueToken over gRPC with mutual TLS against a bare "
                  "create of the same Secret by the same HTTP client; "
                  "{} rounds, taking turns",
                  rounds));
  for (size_t i = 0; i < levels.size(); ++i) {
    const std::string name =
        fmt::format("issue: {} at once", levels[i].at_once);
    report.Add(comparisons[i].LatencyFigure(name + ", p50", 50, kMedian));
    report.Add(comparisons[i].LatencyFigure(name + ", p99", 99, kTail));
    report.Add(comparisons[i].RateFigure(name + ", rate", std::nullopt));
    report.Add(comparisons[i].CpuFigures(name));
  }
  report.Add(PeakRate(comparisons, kPeak));
  return absl::OkStatus();
}

absl::Status BenchBatch(Effort effort, Report& report) {
  const int rounds = effort == Effort::kFull ? 20 : 2;
  constexpr Level kLevel = {64, 1000};

  Say("batch: starting a control plane");
  LATCHKEY_ASSIGN_OR_RETURN(const std::unique_ptr<Site> site, Site::Start());
  LATCHKEY_ASSIGN_OR_RETURN(auto client, site->BrokersClient());
  IssueBench bench(*site, std::move(client));
  Comparison comparison;
  for (int round = -1; round < rounds; ++round) {
    Say(round < 0 ? "batch: warming up"
                  : fmt::format("batch: round {} of {}", round + 1, rounds));
    Comparison warm_up;
    LATCHKEY_RETURN_IF_ERROR(
        bench.BatchRound(kLevel, round, round < 0 ? warm_up : comparison));
  }
  report.AddCondition(
      "batch",
      fmt::format("BatchIssueTokens of {} items over gRPC with mutual TLS "
                  "against as many bare creates of the same Secret, {} at "
                  "once, by the same HTTP client; {} rounds, taking turns",
                  kLevel.count, kLevel.at_once, rounds));
  report.Add(comparison.RateFigure("batch: 1000 items, rate",
                                   Goal{Better::kMore, 0.9}));
  report.Add(comparison.CpuFigures("batch"));
  return absl::OkStatus();
}

}  // namespace latchkey_bench
