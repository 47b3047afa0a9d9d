// The benchmarks: each measures on control planes of its own and adds what it
// found to the report. docs/benchmarks.md says what the figures mean.

#ifndef LATCHKEY_BENCH_BENCHES_H_
#define LATCHKEY_BENCH_BENCHES_H_

#include <absl/status/status.h>

#include "bench/report.h"

namespace latchkey_bench {

// kQuick shows that everything works; its ratios mean little.
enum class Effort { kQuick, kFull };

// IssueToken against the one write that it cannot do without.
absl::Status BenchIssue(Effort effort, Report& report);
// BatchIssueTokens against as many writes, as many at once.
absl::Status BenchBatch(Effort effort, Report& report);
// ListTokens against a bare list of Secrets.
absl::Status BenchList(Effort effort, Report& report);
// latchkey-join's code against the kubelet's own.
absl::Status BenchJoin(Effort effort, Report& report);
// The embedded control plane of latchkeyd dev.
absl::Status BenchDev(Effort effort, Report& report);
// A ServiceAccount token that the broker remembers.
absl::Status BenchAuth(Effort effort, Report& report);
// A decision of a policy with 1,000 rules. No control plane.
absl::Status BenchPolicy(Effort effort, Report& report);
// A call with a store in memory against a bare gRPC call; and fairness. It
// forks, so it comes before all that starts threads.
absl::Status BenchRpc(Effort effort, Report& report);
// What the programs keep in memory.
absl::Status BenchMemory(Report& report);
// What thousands of idle watchers cost the broker.
absl::Status BenchWatch(Report& report);

// A line about what goes on, on standard error.
void Say(const std::string& text);

}  // namespace latchkey_bench

#endif  // LATCHKEY_BENCH_BENCHES_H_
