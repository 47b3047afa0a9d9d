// Many like operations, timed.

#ifndef LATCHKEY_BENCH_LOAD_H_
#define LATCHKEY_BENCH_LOAD_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "bench/cpu_time.h"

namespace latchkey_bench {

// What was measured; of several runs, pooled.
struct Sample {
  std::vector<absl::Duration> latencies;
  absl::Duration wall;
  CpuTime cpu = {};
  // Of operations that consist of steps: how long each took, by its name.
  std::map<std::string, std::vector<absl::Duration>> steps = {};

  void Add(const Sample& other);

  // The smallest latency that at least `percent` of them do not exceed; zero if
  // there are none.
  absl::Duration Percentile(double percent) const;
  // Operations a second.
  double Rate() const;
};

struct LoadShape {
  int count = 1;
  int at_once = 1;
};

// Runs operation(0) to operation(count - 1), each once, on `at_once` threads
// that are there before the clock starts. The error of one that failed makes
// the whole fail: a fast failure must not improve a figure.
absl::StatusOr<Sample> RunLoad(
    const LoadShape& shape, const std::function<absl::Status(int)>& operation);

}  // namespace latchkey_bench

#endif  // LATCHKEY_BENCH_LOAD_H_
