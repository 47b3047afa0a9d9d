#include <memory>
#include <string>
#include <utility>

#include <absl/time/time.h>
#include <fmt/format.h>
#include <grpcpp/client_context.h>

#include "bench/benches.h"
#include "bench/load.h"
#include "bench/peak_memory.h"
#include "bench/site.h"
#include "clients/broker/grpc_error.h"
#include "core/status_macros.h"
#include "latchkey/v1/token_broker.grpc.pb.h"
#include "storage/token_secret.h"

namespace latchkey_bench {
namespace {

using latchkey::kubernetes::SecretList;

constexpr int kPageSize = 100;

class ListBench {
 public:
  ListBench(const Site& site,
            std::unique_ptr<latchkey::KubernetesClient> client)
      : client_(std::move(client)),
        stub_(latchkey::v1::TokenBroker::NewStub(site.ProvisionerChannel())) {}

  absl::StatusOr<Sample> FirstPages(int count) {
    return RunLoad({.count = count}, [&](int) {
      return Page({.page_token = "", .next = nullptr});
    });
  }

  // The same Secrets as the API server gives them to anybody.
  absl::StatusOr<Sample> RawPages(int count) {
    return RunLoad({.count = count}, [&](int) {
      return client_
          ->List<SecretList>(
              {.name_space = std::string(latchkey::kTokenNamespace),
               .label_selector = std::string(latchkey::kTokenLabelSelector),
               .limit = kPageSize})
          .status();
    });
  }

  // Every page of one listing; answers how many tokens there were.
  absl::StatusOr<int> ListAll() {
    int tokens = 0;
    std::string token;
    do {
      std::string next;
      LATCHKEY_RETURN_IF_ERROR(
          Page({.page_token = token, .next = &next, .tokens = &tokens}));
      token = std::move(next);
    } while (!token.empty());
    return tokens;
  }

 private:
  struct Asked {
    std::string page_token;
    std::string* next = nullptr;
    int* tokens = nullptr;
  };
  absl::Status Page(const Asked& asked) {
    latchkey::v1::ListTokensRequest request;
    request.set_page_size(kPageSize);
    request.set_page_token(asked.page_token);
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(30)));
    latchkey::v1::ListTokensResponse response;
    LATCHKEY_RETURN_IF_ERROR(latchkey::FromGrpcStatus(
        stub_->ListTokens(&context, request, &response)));
    if (asked.next != nullptr) *asked.next = response.next_page_token();
    if (asked.tokens != nullptr) *asked.tokens += response.tokens_size();
    return absl::OkStatus();
  }

  const std::unique_ptr<latchkey::KubernetesClient> client_;
  const std::unique_ptr<latchkey::v1::TokenBroker::Stub> stub_;
};

// A control plane with that many records.
absl::StatusOr<std::unique_ptr<Site>> FilledSite(int thousands) {
  Say("list: starting a control plane");
  LATCHKEY_ASSIGN_OR_RETURN(std::unique_ptr<Site> site, Site::Start());
  for (int i = 0; i < thousands; ++i) {
    Say(fmt::format("list: issuing, {} of {} thousand", i + 1, thousands));
    LATCHKEY_RETURN_IF_ERROR(
        IssueTokens(site->ProvisionerChannel(), "worker-0123456789", 1000));
  }
  return site;
}

// By how much the broker grows over a listing of `expected` tokens, in MiB.
absl::StatusOr<double> GrowthOfListing(const Site& site, ListBench& bench,
                                       int expected) {
  const pid_t broker = site.broker().pid();
  LATCHKEY_ASSIGN_OR_RETURN(const double before, MemoryOf(broker, "VmRSS"));
  LATCHKEY_ASSIGN_OR_RETURN(const int listed, bench.ListAll());
  LATCHKEY_ASSIGN_OR_RETURN(const double after, MemoryOf(broker, "VmRSS"));
  if (listed == expected) return after - before;
  return absl::InternalError(fmt::format("{} tokens were listed", listed));
}

}  // namespace

absl::Status BenchList(Effort effort, Report& report) {
  const bool full = effort == Effort::kFull;
  const int thousands = full ? 10 : 2;
  const int rounds = full ? 10 : 2;
  constexpr int kPages = 30;

  LATCHKEY_ASSIGN_OR_RETURN(const std::unique_ptr<Site> site,
                            FilledSite(thousands));
  LATCHKEY_ASSIGN_OR_RETURN(auto client, site->BrokersClient());
  ListBench bench(*site, std::move(client));
  Comparison comparison;
  for (int round = -1; round < rounds; ++round) {
    LATCHKEY_ASSIGN_OR_RETURN(Sample first, bench.FirstPages(kPages));
    LATCHKEY_ASSIGN_OR_RETURN(Sample raw, bench.RawPages(kPages));
    if (round >= 0) comparison.AddRound(std::move(first), std::move(raw));
  }
  LATCHKEY_ASSIGN_OR_RETURN(const double growth,
                            GrowthOfListing(*site, bench, thousands * 1000));

  report.AddCondition(
      "list",
      fmt::format("ListTokens over gRPC with mutual TLS, the first {} of "
                  "{} records, against a bare list of as many Secrets by the "
                  "same HTTP client; {} rounds, taking turns",
                  kPageSize, thousands * 1000, rounds));
  report.Add(comparison.LatencyFigure("list: first page, p50", 50, {}));
  report.Add(comparison.LatencyFigure("list: first page, p99", 99, {}));
  report.Add({.name = "list: first page, p50, itself",
              .unit = "ms",
              .measured = absl::ToDoubleMilliseconds(
                  comparison.measured().Percentile(50)),
              .goal = Goal{Better::kLess, 50}});
  report.Add({.name = "list: memory, all pages of one listing",
              .unit = "MiB",
              .measured = growth,
              .goal = Goal{Better::kLess, 8}});
  return absl::OkStatus();
}

}  // namespace latchkey_bench
