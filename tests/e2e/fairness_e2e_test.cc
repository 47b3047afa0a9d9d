// One provisioner floods a real broker and cluster; what another one feels of
// it.

#include <algorithm>
#include <iostream>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "core/reasons.h"
#include "tests/e2e/join_test.h"
#include "tests/e2e/offered_load.h"

namespace latchkey_testing {
namespace {

namespace v1 = latchkey::v1;

constexpr char kFlooder[] = "spiffe://example.org/flooder";
// As docs/limits.md advises: what this provisioner needs, and not more.
constexpr char kFlooderRule[] = R"(  - name: flooder
    provisioners: [{spiffe_id: "spiffe://example.org/flooder"}]
    allow: {node_names: ["flood-*"], rate: {per_minute: 600, burst: 20}}
)";
constexpr int kCalls = 100;
constexpr int kCallsPerSecond = 10;

class FairnessE2eTest : public JoinTest {
 protected:
  // Of kCalls mints of the autoscaler, at kCallsPerSecond.
  absl::Duration NinetyNinthPercentile(const BrokerProcess& broker) {
    const auto channel = ProvisionerChannel(broker);
    const absl::Time begun = absl::Now();
    std::vector<absl::Duration> took;
    for (int i = 0; i < kCalls; ++i) {
      absl::SleepFor(begun + absl::Seconds(1) * i / kCallsPerSecond -
                     absl::Now());
      const absl::Time start = absl::Now();
      EXPECT_THAT(Issue(channel, RequestFor(fmt::format("worker-{}", i))),
                  IsOk());
      took.push_back(absl::Now() - start);
    }
    std::sort(took.begin(), took.end());
    return took[kCalls * 99 / 100 - 1];
  }
};

TEST_F(FairnessE2eTest, AFloodAtAHundredfoldDoesNotDoubleTheWaitOfAnother) {
  const auto broker =
      StartBroker({.more_policy = kFlooderRule, .log_level = "info"});
  NinetyNinthPercentile(*broker);  // warm
  // A machine that has other work too may spoil a round; a broker that is
  // unfair spoils all of them.
  double least_ratio = std::numeric_limits<double>::infinity();
  for (int round = 0; round < 3 && least_ratio > 2; ++round) {
    const absl::Duration quiet = NinetyNinthPercentile(*broker);
    const auto channel = ProvisionerChannel(*broker, kFlooder);
    OfferedLoad flood(100 * kCallsPerSecond, [&](int number) {
      return Issue(channel, RequestFor(fmt::format("flood-{}", number)))
          .status();
    });
    const absl::Duration flooded = NinetyNinthPercentile(*broker);
    const double rate = flood.rate();
    const std::vector<absl::Status> failures = flood.End();
    const double ratio = absl::FDivDuration(flooded, quiet);
    std::cout << fmt::format(
        "p99 {:.1f} ms quiet, {:.1f} ms in a flood of {:.0f}/s of which {} "
        "failed: {:.2f}x\n",
        absl::ToDoubleMilliseconds(quiet), absl::ToDoubleMilliseconds(flooded),
        rate, failures.size(), ratio);
    EXPECT_GE(rate, 50 * kCallsPerSecond) << "no flood";
    EXPECT_FALSE(failures.empty());
    for (const absl::Status& failure : failures) {
      ASSERT_THAT(failure, ReasonIs(latchkey::reason::kRateLimited));
    }
    least_ratio = std::min(least_ratio, ratio);
  }
  EXPECT_LE(least_ratio, 2);
}

}  // namespace
}  // namespace latchkey_testing
