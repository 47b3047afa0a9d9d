// latchkey_bench: measures Latchkey against a real control plane. Goals that
// are missed do not make it fail; what it could not measure does.

#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>
#include <absl/status/status.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include "bench/benches.h"
#include "bench/machine.h"
#include "core/status_macros.h"

namespace latchkey_bench {

void Say(const std::string& text) {
  std::fprintf(stderr, "bench: %s\n", text.c_str());
}

namespace {

constexpr char kDescription[] =
    "Measures Latchkey against a real Kubernetes control plane "
    "($LATCHKEY_CONTROLPLANE). Exit code 0 if everything could be measured, "
    "whether or not the goals are met.";

struct Options {
  bool quick = false;
  std::string only;
  std::string json = std::string(LATCHKEY_SOURCE_DIR) + "/build/bench.json";
};

absl::Status Measure(const Options& options, Report& report) {
  const auto wanted = [&](std::string_view name) {
    return options.only.empty() || options.only == name;
  };
  const Effort effort = options.quick ? Effort::kQuick : Effort::kFull;
  report.AddCondition(
      "when",
      absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::Now(), absl::UTCTimeZone()));
  report.AddCondition("machine", DescribeMachine());
  report.AddCondition("load before", LoadAverages());
  if (wanted("rpc")) LATCHKEY_RETURN_IF_ERROR(BenchRpc(effort, report));
  if (wanted("policy")) LATCHKEY_RETURN_IF_ERROR(BenchPolicy(effort, report));
  if (wanted("memory")) LATCHKEY_RETURN_IF_ERROR(BenchMemory(report));
  if (wanted("auth")) LATCHKEY_RETURN_IF_ERROR(BenchAuth(effort, report));
  if (wanted("watch")) LATCHKEY_RETURN_IF_ERROR(BenchWatch(report));
  if (wanted("dev")) LATCHKEY_RETURN_IF_ERROR(BenchDev(effort, report));
  if (wanted("issue")) LATCHKEY_RETURN_IF_ERROR(BenchIssue(effort, report));
  if (wanted("batch")) LATCHKEY_RETURN_IF_ERROR(BenchBatch(effort, report));
  if (wanted("list")) LATCHKEY_RETURN_IF_ERROR(BenchList(effort, report));
  if (wanted("join")) LATCHKEY_RETURN_IF_ERROR(BenchJoin(effort, report));
  if (options.quick) {
    report.AddCondition("quick", "few repetitions: the ratios mean little");
  }
  return absl::OkStatus();
}

int Run(const Options& options) {
  Report report;
  const absl::Status measured = Measure(options, report);
  if (!measured.ok()) {
    Say(measured.ToString());
    return 1;
  }
  std::fputs(report.Table().c_str(), stdout);
  std::ofstream file(options.json);
  file << report.Json();
  file.close();
  if (!file) {
    Say("cannot write " + options.json);
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace latchkey_bench

int main(int argc, char** argv) {
  latchkey_bench::Options options;
  CLI::App app{latchkey_bench::kDescription, "latchkey_bench"};
  app.add_flag("--quick", options.quick,
               "few repetitions: shows that it works, and little more");
  app.add_option("--only", options.only, "one of the benchmarks")
      ->check(CLI::IsMember({"auth", "batch", "dev", "issue", "join", "list",
                             "memory", "policy", "rpc", "watch"}));
  app.add_option("--json", options.json, "where the figures go, as JSON")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return latchkey_bench::Run(options);
}
