#include <memory>
#include <optional>
#include <string>

#include <absl/time/clock.h>
#include <absl/time/time.h>

#include "bench/benches.h"
#include "bench/load.h"
#include "bench/site.h"
#include "core/status_macros.h"
#include "services/authenticator.h"

namespace latchkey_bench {
namespace {

constexpr char kAudience[] = "latchkey";
// One at a time is too short to be timed.
constexpr int kBatch = 100;

absl::StatusOr<std::string> NewToken(
    const latchkey_testing::ControlPlane& cluster) {
  const auto account =
      cluster.Run({"kubectl", "create", "serviceaccount", "bench"});
  if (account.exit_code != 0) return absl::InternalError(account.err);
  const auto token = cluster.Run({"kubectl", "create", "token", "bench",
                                  std::string("--audience=") + kAudience});
  if (token.exit_code != 0) return absl::InternalError(token.err);
  return token.out.substr(0, token.out.find('\n'));
}

// One latency for each batch, of one call in it.
absl::StatusOr<Sample> TimeKnown(latchkey::Authenticator& authenticator,
                                 const latchkey::CallCredentials& credentials,
                                 int batches) {
  Sample sample;
  for (int i = 0; i < batches; ++i) {
    // What is remembered is so for a minute.
    LATCHKEY_RETURN_IF_ERROR(authenticator.Authenticate(credentials).status());
    const absl::Time began = absl::Now();
    for (int k = 0; k < kBatch; ++k) {
      const auto known = authenticator.Known(credentials);
      if (!known.has_value()) {
        return absl::InternalError("the token is not remembered");
      }
      LATCHKEY_RETURN_IF_ERROR(known->status());
    }
    sample.latencies.push_back((absl::Now() - began) / kBatch);
    sample.wall += sample.latencies.back();
  }
  return sample;
}

// Each by an authenticator that remembers nothing yet.
absl::StatusOr<Sample> TimeReviews(latchkey::KubernetesClient& client,
                                   const latchkey::Clock& clock,
                                   const latchkey::CallCredentials& credentials,
                                   int count) {
  return RunLoad({.count = count, .at_once = 1}, [&](int /*i*/) {
    latchkey::Authenticator fresh(
        std::make_unique<latchkey::ServiceAccountVerifier>(kAudience, client,
                                                           clock),
        {}, clock);
    return fresh.Authenticate(credentials).status();
  });
}

}  // namespace

absl::Status BenchAuth(Effort effort, Report& report) {
  Say("auth: starting a control plane");
  LATCHKEY_ASSIGN_OR_RETURN(const std::unique_ptr<Site> site, Site::Start());
  LATCHKEY_ASSIGN_OR_RETURN(const auto client, site->BrokersClient());
  LATCHKEY_ASSIGN_OR_RETURN(const std::string token, NewToken(site->cluster()));
  const latchkey::CallCredentials credentials = {
      .authorization = latchkey::SecretString("Bearer " + token)};
  const latchkey::SystemClock clock;
  latchkey::Authenticator authenticator(
      std::make_unique<latchkey::ServiceAccountVerifier>(kAudience, *client,
                                                         clock),
      {}, clock);
  const bool quick = effort == Effort::kQuick;
  Comparison comparison;
  for (int round = 0; round < (quick ? 1 : 5); ++round) {
    LATCHKEY_ASSIGN_OR_RETURN(
        Sample known,
        TimeKnown(authenticator, credentials, quick ? 100 : 1000));
    LATCHKEY_ASSIGN_OR_RETURN(
        Sample reviewed,
        TimeReviews(*client, clock, credentials, quick ? 20 : 200));
    comparison.AddRound(std::move(known), std::move(reviewed));
  }
  const auto median = [](const Sample& sample) {
    return absl::ToDoubleMicroseconds(sample.Percentile(50));
  };
  report.Add({.name = "auth: ServiceAccount token, remembered, p50",
              .unit = "us",
              .measured = median(comparison.measured()),
              .goal = Goal{Better::kLess, 20}});
  report.Add({.name = "auth: the same against a TokenReview, p50",
              .unit = "us",
              .measured = median(comparison.measured()),
              .baseline = median(comparison.baseline()),
              .goal = Goal{Better::kLess, 0.1}});
  return absl::OkStatus();
}

}  // namespace latchkey_bench
