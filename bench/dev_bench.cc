#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/time/clock.h>
#include <fmt/format.h>

#include "bench/benches.h"
#include "bench/dev_site_process.h"
#include "bench/join_one.h"
#include "bench/load.h"
#include "bench/peak_memory.h"
#include "bench/site.h"
#include "clients/kubernetes/file_api_access.h"
#include "clients/kubernetes/http_kubernetes_client.h"
#include "core/status_macros.h"

namespace latchkey_bench {
namespace {

using latchkey::kubernetes::Secret;
using latchkey_testing::TempDir;

constexpr int kAtOnce = 64;

// As large as a token's record.
Secret SecretNamed(std::string name) {
  Secret secret;
  secret.mutable_metadata()->set_namespace_("default");
  secret.mutable_metadata()->set_name(std::move(name));
  secret.set_type("Opaque");
  (*secret.mutable_data())["record"] = std::string(1000, 'x');
  return secret;
}

// Each round under names of its own.
absl::StatusOr<Sample> CreateSecrets(latchkey::KubernetesClient& client,
                                     const std::string& prefix, int count) {
  std::vector<Secret> secrets;
  for (int i = 0; i < count; ++i) {
    secrets.push_back(SecretNamed(fmt::format("{}-{}", prefix, i)));
  }
  return RunLoad({.count = count, .at_once = kAtOnce}, [&](int i) {
    return client.Create(secrets[static_cast<size_t>(i)]).status();
  });
}

absl::StatusOr<Sample> Join(const DevSiteProcess& site, const LoadShape& shape,
                            const std::string& prefix) {
  const TempDir dir("/dev/shm");
  const auto channel = site.ProvisionerChannel();
  const latchkey::BrokerEndpoint endpoint = site.NodeEndpoint();
  return RunLoad(shape, [&](int i) -> absl::Status {
    const std::string node = fmt::format("worker-{}-{}", prefix, i);
    LATCHKEY_ASSIGN_OR_RETURN(const auto issued,
                              IssueToken(channel, TicketRequest(node, node)));
    LATCHKEY_ASSIGN_OR_RETURN(const latchkey::Ticket ticket,
                              latchkey::Ticket::Parse(issued.ticket()));
    return JoinOne(endpoint, node, ticket, dir).status();
  });
}

// From nothing to the first machine that has joined.
absl::StatusOr<Sample> TimeFirstJoins(int times) {
  Sample sample;
  for (int i = 0; i < times; ++i) {
    const absl::Time began = absl::Now();
    LATCHKEY_ASSIGN_OR_RETURN(const auto site, DevSiteProcess::Start());
    LATCHKEY_RETURN_IF_ERROR(
        Join(*site, {.count = 1, .at_once = 1}, "first").status());
    sample.latencies.push_back(absl::Now() - began);
    sample.wall += sample.latencies.back();
  }
  return sample;
}

absl::StatusOr<Comparison> CompareCreates(const DevSiteProcess& site,
                                          int rounds, int count) {
  LATCHKEY_ASSIGN_OR_RETURN(const auto cluster,
                            StartControlPlane(Approver::kLatchkey, 0));
  const latchkey::SystemClock clock;
  LATCHKEY_ASSIGN_OR_RETURN(
      std::unique_ptr<latchkey::FileApiAccess> access,
      latchkey::FileApiAccess::Create(
          {.kubeconfig_path = cluster->admin_kubeconfig()}, clock));
  latchkey::HttpKubernetesClient real(std::move(access));
  LATCHKEY_ASSIGN_OR_RETURN(const auto embedded, site.Client());
  Comparison comparison;
  for (int round = -1; round < rounds; ++round) {
    const std::string prefix = fmt::format("round-{}", round + 1);
    LATCHKEY_ASSIGN_OR_RETURN(Sample ours,
                              CreateSecrets(*embedded, prefix, count));
    LATCHKEY_ASSIGN_OR_RETURN(Sample theirs,
                              CreateSecrets(real, prefix, count));
    if (round >= 0) comparison.AddRound(std::move(ours), std::move(theirs));
  }
  return comparison;
}

// With so many Secrets and open watches of them.
absl::StatusOr<double> MemoryUnderLoad(const DevSiteProcess& site, int secrets,
                                       int watches) {
  constexpr int kWatchesAClient = 50;
  LATCHKEY_ASSIGN_OR_RETURN(const auto client, site.Client());
  LATCHKEY_RETURN_IF_ERROR(CreateSecrets(*client, "many", secrets).status());
  LATCHKEY_ASSIGN_OR_RETURN(const auto list,
                            client->List<latchkey::kubernetes::SecretList>(
                                {.name_space = "default", .limit = 1}));
  std::vector<std::unique_ptr<latchkey::KubernetesClient>> clients;
  std::vector<std::unique_ptr<latchkey::WatchStream>> streams;
  for (int i = 0; i < watches; ++i) {
    if (i % kWatchesAClient == 0) {
      LATCHKEY_ASSIGN_OR_RETURN(auto another, site.Client());
      clients.push_back(std::move(another));
    }
    LATCHKEY_ASSIGN_OR_RETURN(
        auto stream,
        clients.back()->WatchObjects(
            latchkey::kSecrets,
            {.name_space = "default",
             .resource_version = list.metadata().resource_version()}));
    streams.push_back(std::move(stream));
  }
  // One event for each of them.
  LATCHKEY_RETURN_IF_ERROR(client->Create(SecretNamed("seen")).status());
  for (const auto& stream : streams) {
    LATCHKEY_RETURN_IF_ERROR(stream->Next(absl::Seconds(30)).status());
  }
  return MemoryOf(site.pid(), "VmRSS");
}

}  // namespace

absl::Status BenchDev(Effort effort, Report& report) {
  const bool full = effort == Effort::kFull;
  constexpr LoadShape kSurge = {.count = 200, .at_once = 50};
  constexpr int kSecrets = 10'000;
  constexpr int kWatches = 500;

  Say("dev: from the start to the first join");
  LATCHKEY_ASSIGN_OR_RETURN(const Sample first, TimeFirstJoins(full ? 10 : 3));
  LATCHKEY_ASSIGN_OR_RETURN(const auto site, DevSiteProcess::Start());
  LATCHKEY_ASSIGN_OR_RETURN(const double idle, MemoryOf(site->pid(), "VmRSS"));
  Say("dev: 200 joins");
  LATCHKEY_ASSIGN_OR_RETURN(const Sample surge, Join(*site, kSurge, "surge"));
  Say("dev: creates, beside a real control plane");
  LATCHKEY_ASSIGN_OR_RETURN(
      const Comparison creates,
      CompareCreates(*site, full ? 5 : 2, full ? 2000 : 1000));
  Say("dev: memory with 10000 Secrets and 500 watches");
  LATCHKEY_ASSIGN_OR_RETURN(const auto other, DevSiteProcess::Start());
  LATCHKEY_ASSIGN_OR_RETURN(const double loaded,
                            MemoryUnderLoad(*other, kSecrets, kWatches));

  report.AddCondition("dev",
                      "latchkeyd dev in memory, its clients on the same "
                      "machine; a join begins with its IssueToken");
  report.Add({.name = "dev: start to first join, p50",
              .unit = "s",
              .measured = absl::ToDoubleSeconds(first.Percentile(50)),
              .goal = Goal{Better::kLess, 1}});
  report.Add({.name = "dev: 200 joins, 50 at once",
              .unit = "s",
              .measured = absl::ToDoubleSeconds(surge.wall),
              .goal = Goal{Better::kLess, 4}});
  report.Add(creates.RateFigure("dev: Secret creates, 64 at once",
                                Goal{Better::kMore, 5}));
  report.Add({.name = "dev: memory, idle",
              .unit = "MiB",
              .measured = idle,
              .goal = Goal{Better::kLess, 64}});
  report.Add({.name = "dev: memory, loaded",
              .unit = "MiB",
              .measured = loaded,
              .goal = Goal{Better::kLess, 256}});
  return absl::OkStatus();
}

}  // namespace latchkey_bench
