#include "bench/load.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <latch>
#include <thread>
#include <utility>

namespace latchkey_bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

absl::Duration Since(SteadyClock::time_point start) {
  return absl::FromChrono(SteadyClock::now() - start);
}

}  // namespace

void Sample::Add(const Sample& other) {
  latencies.insert(latencies.end(), other.latencies.begin(),
                   other.latencies.end());
  wall += other.wall;
  for (const auto& [program, time] : other.cpu) cpu[program] += time;
  for (const auto& [step, times] : other.steps) {
    auto& all = steps[step];
    all.insert(all.end(), times.begin(), times.end());
  }
}

absl::Duration Sample::Percentile(double percent) const {
  if (latencies.empty()) return absl::ZeroDuration();
  std::vector<absl::Duration> sorted = latencies;
  const auto count = static_cast<double>(sorted.size());
  const auto rank =
      static_cast<size_t>(std::max(1.0, std::ceil(percent / 100 * count)));
  const auto nth = sorted.begin() + static_cast<std::ptrdiff_t>(rank - 1);
  std::nth_element(sorted.begin(), nth, sorted.end());
  return *nth;
}

double Sample::Rate() const {
  return static_cast<double>(latencies.size()) / absl::ToDoubleSeconds(wall);
}

absl::StatusOr<Sample> RunLoad(
    const LoadShape& shape, const std::function<absl::Status(int)>& operation) {
  const auto count = static_cast<size_t>(shape.count);
  std::vector<absl::Status> results(count);
  Sample sample;
  sample.latencies.resize(count);
  std::atomic<int> next = 0;
  std::latch ready(shape.at_once + 1);
  const CpuMeter meter;
  SteadyClock::time_point start;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < shape.at_once; ++t) {
      threads.emplace_back([&] {
        ready.arrive_and_wait();
        for (int i = next++; i < shape.count; i = next++) {
          const auto began = SteadyClock::now();
          const auto slot = static_cast<size_t>(i);
          results[slot] = operation(i);
          sample.latencies[slot] = Since(began);
        }
      });
    }
    start = SteadyClock::now();
    ready.arrive_and_wait();
  }
  sample.wall = Since(start);
  sample.cpu = meter.Used();
  for (absl::Status& result : results) {
    if (!result.ok()) return std::move(result);
  }
  return sample;
}

}  // namespace latchkey_bench
