// Runs histories until one fails, or all have passed.

#include <stdlib.h>

#include <chrono>
#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>

#include "tests/simulation/history.h"

namespace {

using latchkey_testing::HistoryOptions;
using latchkey_testing::HistoryResult;
using latchkey_testing::RunHistory;

void Show(uint64_t seed, const HistoryResult& result) {
  std::printf("seed %llu:\n", static_cast<unsigned long long>(seed));
  for (const std::string& what : result.violations) {
    std::printf("  VIOLATION %s\n", what.c_str());
  }
  for (const std::string& line : result.trace) {
    std::printf("  %s\n", line.c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Simulates histories of a cluster, and checks the invariants");
  HistoryOptions options;
  uint64_t first = 1;
  uint64_t count = 1000;
  uint64_t step = 1;
  double seconds = 0;
  app.add_option("--first", first, "the first seed");
  app.add_option("--count", count, "how many histories");
  app.add_option("--step", step, "every so many seeds");
  app.add_option("--seconds", seconds, "stop after so long; 0: never");
  app.add_option("--brokers", options.brokers);
  app.add_option("--nodes", options.nodes);
  app.add_option("--trouble", options.trouble, "the dose of faults; 1: usual");
  app.add_flag("--trace", options.keep_trace, "print what happened");
  CLI11_PARSE(app, argc, argv);
  using SteadyClock = std::chrono::steady_clock;
  const auto begin = SteadyClock::now();
  const auto elapsed = [&] {
    return std::chrono::duration<double>(SteadyClock::now() - begin).count();
  };
  HistoryResult sum;
  uint64_t done = 0;
  int failed = 0;
  for (; done < count && (seconds <= 0 || elapsed() < seconds); ++done) {
    options.seed = first + done * step;
    HistoryResult result = RunHistory(options);
    sum.joined += result.joined;
    sum.excused += result.excused;
    sum.refused_thieves += result.refused_thieves;
    sum.certificates += result.certificates;
    sum.turns += result.turns;
    if (options.keep_trace && result.violations.empty()) {
      Show(options.seed, result);
    }
    if (result.violations.empty()) continue;
    ++failed;
    if (!options.keep_trace) {
      options.keep_trace = true;
      result = RunHistory(options);
      options.keep_trace = false;
    }
    Show(options.seed, result);
    if (failed >= 3) break;
  }
  std::printf(
      "%llu histories in %.1f s (%.0f a second), %d failed: %d joined, %d "
      "excused, %d thieves refused, %d certificates, %.0f turns a history\n",
      static_cast<unsigned long long>(done), elapsed(),
      static_cast<double>(done) / elapsed(), failed, sum.joined, sum.excused,
      sum.refused_thieves, sum.certificates,
      static_cast<double>(sum.turns) / static_cast<double>(done));
  return failed == 0 ? 0 : 1;
}
