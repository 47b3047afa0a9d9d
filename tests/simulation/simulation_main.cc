// Runs histories, on all processors, until one fails or all have passed.

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tests/simulation/history.h"
#include "tests/simulation/sanitizers.h"

#ifdef LATCHKEY_ASAN
#include <sanitizer/lsan_interface.h>
#endif

namespace {

using latchkey_testing::HistoryOptions;
using latchkey_testing::HistoryResult;
using latchkey_testing::RunHistory;
using latchkey_testing::ShrinkFaults;
using latchkey_testing::Violation;
using SteadyClock = std::chrono::steady_clock;

constexpr int kMaxJobs = 256;
// Histories of the search for the faults that matter.
constexpr int kShrinkBudget = 3000;

struct Plan {
  HistoryOptions options;
  uint64_t first = 1;
  uint64_t count = 1000;
  double seconds = 0;
  int jobs = 1;
  int max_failures = 3;
  bool shrink = true;
};

// What the processes share: each takes the next history that none has taken.
struct Shared {
  std::atomic<uint64_t> next = 0;
  std::atomic<uint64_t> done = 0;
  std::atomic<uint64_t> joined = 0;
  std::atomic<uint64_t> excused = 0;
  std::atomic<uint64_t> refused_thieves = 0;
  std::atomic<uint64_t> certificates = 0;
  std::atomic<uint64_t> faults = 0;
  std::atomic<uint64_t> turns = 0;
  std::atomic<int> failures = 0;
  std::array<std::atomic<uint64_t>, kMaxJobs> failed_seeds = {};
  // Of each process, what it is at; it may die of it.
  std::array<std::atomic<uint64_t>, kMaxJobs> seeds = {};

  void Fail(uint64_t seed) {
    const int number = failures++;
    if (number < kMaxJobs) failed_seeds.at(static_cast<size_t>(number)) = seed;
  }
};

Shared& MakeShared() {
  void* const memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("mmap");
    _exit(2);
  }
  return *new (memory) Shared();
}

void Add(const HistoryResult& result, Shared& shared) {
  shared.joined += static_cast<uint64_t>(result.joined);
  shared.excused += static_cast<uint64_t>(result.excused);
  shared.refused_thieves += static_cast<uint64_t>(result.refused_thieves);
  shared.certificates += static_cast<uint64_t>(result.certificates);
  shared.faults += static_cast<uint64_t>(result.faults);
  shared.turns += result.turns;
  ++shared.done;
}

void Work(const Plan& plan, size_t job, SteadyClock::time_point end,
          Shared& shared) {
  HistoryOptions options = plan.options;
  while (shared.failures < plan.max_failures && SteadyClock::now() < end) {
    const uint64_t number = shared.next++;
    if (number >= plan.count) return;
    options.seed = plan.first + number;
    shared.seeds.at(job) = options.seed;
    const HistoryResult result = RunHistory(options);
    Add(result, shared);
    if (!result.violations.empty()) shared.Fail(options.seed);
  }
}

// In processes, not threads: OpenSSL's locks cost more than all else where they
// are shared, and a history that crashes takes one process with it.
void WorkInProcesses(const Plan& plan, SteadyClock::time_point end,
                     Shared& shared) {
  std::vector<pid_t> workers;
  for (size_t job = 0; job < static_cast<size_t>(plan.jobs); ++job) {
    const pid_t worker = fork();
    if (worker == 0) {
      Work(plan, job, end, shared);
      std::fflush(nullptr);
#ifdef LATCHKEY_ASAN
      // Which an _exit does not; it ends the process if there is one.
      __lsan_do_leak_check();
#endif
      _exit(0);
    }
    workers.push_back(worker);
  }
  for (size_t job = 0; job < workers.size(); ++job) {
    int status = 0;
    waitpid(workers[job], &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
    std::printf("seed %llu: the process died: %s %d\n",
                static_cast<unsigned long long>(shared.seeds.at(job)),
                WIFSIGNALED(status) ? "signal" : "exit code",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    shared.Fail(shared.seeds.at(job));
  }
}

std::string Join(const std::set<int>& numbers) {
  std::string text;
  for (const int number : numbers) {
    if (!text.empty()) text += ',';
    text += std::to_string(number);
  }
  return text.empty() ? "none" : text;
}

// What makes histories other ones than the seed alone does, as arguments.
std::string OtherOptions(const HistoryOptions& options) {
  const HistoryOptions usual;
  std::string text;
  if (options.brokers != usual.brokers) {
    text += fmt::format(" --brokers {}", options.brokers);
  }
  if (options.nodes != usual.nodes) {
    text += fmt::format(" --nodes {}", options.nodes);
  }
  // As few digits as give the same number.
  if (options.trouble != usual.trouble) {
    text += fmt::format(" --trouble {}", options.trouble);
  }
  return text;
}

// Runs it with its trace; false if it broke a promise.
bool Show(HistoryOptions options) {
  options.trace = true;
  std::printf("seed %llu:\n", static_cast<unsigned long long>(options.seed));
  const HistoryResult result = RunHistory(options);
  for (const Violation& what : result.violations) {
    std::printf("  VIOLATION %s: %s\n", what.promise.c_str(),
                what.detail.c_str());
  }
  return result.violations.empty();
}

// Repeats a history that failed, with the faults that it takes and no others.
void Explain(const Plan& plan, uint64_t seed) {
  HistoryOptions options = plan.options;
  options.seed = seed;
  const HistoryResult whole = RunHistory(options);
  if (whole.violations.empty()) {
    std::printf("seed %llu: it passes when it is repeated\n",
                static_cast<unsigned long long>(seed));
    return;
  }
  if (plan.shrink) {
    options.only_faults = ShrinkFaults(options, whole, kShrinkBudget);
    std::printf(
        "seed %llu: %d faults, of which it takes %zu; to see it again:\n"
        "  latchkey_simulate --first %llu --count 1 --trace%s --faults %s\n",
        static_cast<unsigned long long>(seed), whole.faults,
        options.only_faults->size(), static_cast<unsigned long long>(seed),
        OtherOptions(options).c_str(), Join(*options.only_faults).c_str());
  }
  Show(options);
}

// Does `work` in a process of its own, which it may take with it.
bool Survives(const std::function<void()>& work) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    work();
    std::fflush(nullptr);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::set<int> ParseFaults(const std::string& text) {
  std::set<int> numbers;
  if (text == "none") return numbers;
  for (const std::string& number : CLI::detail::split(text, ',')) {
    numbers.insert(std::stoi(number));
  }
  return numbers;
}

int Report(const Plan& plan, double seconds, const Shared& shared) {
  const double done = std::max<double>(static_cast<double>(shared.done), 1);
  std::printf(
      "%.0f histories in %.1f s (%.0f a second, %d processes), %d failed: %llu "
      "joined, %llu excused, %llu thieves refused, %llu certificates; %.0f "
      "turns and %.1f faults a history\n",
      static_cast<double>(shared.done), seconds,
      static_cast<double>(shared.done) / std::max(seconds, 0.001), plan.jobs,
      shared.failures.load(), static_cast<unsigned long long>(shared.joined),
      static_cast<unsigned long long>(shared.excused),
      static_cast<unsigned long long>(shared.refused_thieves),
      static_cast<unsigned long long>(shared.certificates),
      static_cast<double>(shared.turns) / done,
      static_cast<double>(shared.faults) / done);
  std::fflush(stdout);
  std::vector<uint64_t> seeds;
  for (int i = 0; i < std::min(shared.failures.load(), kMaxJobs); ++i) {
    seeds.push_back(shared.failed_seeds.at(static_cast<size_t>(i)));
  }
  std::sort(seeds.begin(), seeds.end());
  for (const uint64_t seed : seeds) {
    std::printf("FAILED: seed %llu, history %llu of this run\n",
                static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(seed - plan.first + 1));
  }
  std::fflush(stdout);
  if (seeds.empty()) return 0;
  HistoryOptions first = plan.options;
  first.seed = seeds.front();
  if (Survives([&] { RunHistory(first); })) {
    Explain(plan, first.seed);
  } else {
    Survives([&] { Show(first); });
    std::printf("seed %llu: the process dies of it, after what stands above\n",
                static_cast<unsigned long long>(first.seed));
  }
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Simulates histories of a cluster, and checks the invariants");
  Plan plan;
  std::string faults;
  plan.jobs = static_cast<int>(
      std::clamp<int64_t>(sysconf(_SC_NPROCESSORS_ONLN), 1, kMaxJobs));
  app.add_option("--first", plan.first, "the first seed");
  app.add_option("--count", plan.count, "how many histories");
  app.add_option("--seconds", plan.seconds, "stop after so long; 0: never");
  app.add_option("--jobs", plan.jobs, "processes; as many as processors")
      ->check(CLI::Range(1, kMaxJobs));
  app.add_option("--failures", plan.max_failures, "stop after so many")
      ->check(CLI::Range(1, kMaxJobs));
  app.add_option("--brokers", plan.options.brokers);
  app.add_option("--nodes", plan.options.nodes);
  app.add_option("--trouble", plan.options.trouble,
                 "the dose of faults; 1: usual");
  app.add_option("--faults", faults,
                 "of the faults drawn, only these: 3,17 or none");
  app.add_flag("--no-shrink{false}", plan.shrink,
               "show a history that fails with all its faults");
  app.add_flag("--trace", plan.options.trace,
               "one after the other, and print what happened");
  CLI11_PARSE(app, argc, argv);
  if (!faults.empty()) plan.options.only_faults = ParseFaults(faults);
  if (plan.options.trace) {
    bool passed = true;
    for (uint64_t i = 0; i < plan.count; ++i) {
      plan.options.seed = plan.first + i;
      passed &= Show(plan.options);
    }
    return passed ? 0 : 1;
  }
  const auto begin = SteadyClock::now();
  const auto end =
      plan.seconds <= 0
          ? SteadyClock::time_point::max()
          : begin + std::chrono::duration_cast<SteadyClock::duration>(
                        std::chrono::duration<double>(plan.seconds));
  Shared& shared = MakeShared();
  WorkInProcesses(plan, end, shared);
  const std::chrono::duration<double> took = SteadyClock::now() - begin;
  return Report(plan, took.count(), shared);
}
