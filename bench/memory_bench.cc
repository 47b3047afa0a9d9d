#include <memory>
#include <string>

#include <absl/time/clock.h>
#include <fmt/format.h>

#include "bench/benches.h"
#include "bench/peak_memory.h"
#include "bench/site.h"
#include "core/status_macros.h"

namespace latchkey_bench {
namespace {

constexpr absl::Duration kIdle = absl::Seconds(2);

absl::StatusOr<double> PeakOfJoin(const Site& site) {
  constexpr char kNode[] = "worker-memory";
  LATCHKEY_ASSIGN_OR_RETURN(
      const auto issued,
      IssueToken(site.ProvisionerChannel(), TicketRequest(kNode, kNode)));
  const latchkey_testing::TempDir dir;
  const std::string config = dir.Write(
      "join.yaml",
      fmt::format("node_name: {}\nbroker:\n  endpoint: {}\n  ca_file: {}\n"
                  "ticket_file: {}\noutput:\n  cert_dir: {}\n"
                  "  kubeconfig: {}\n  ca_file: {}\n",
                  kNode, site.broker().node_endpoint(), site.pki().ca_file(),
                  dir.Write("ticket", issued.ticket() + "\n"), dir.File("pki"),
                  dir.File("kubelet.conf"), dir.File("ca.crt")));
  return PeakMemoryOf(
      {latchkey_testing::BuiltProgram("latchkey-join"), "--config", config});
}

}  // namespace

absl::Status BenchMemory(Report& report) {
  Say("memory: starting a control plane");
  LATCHKEY_ASSIGN_OR_RETURN(const std::unique_ptr<Site> site, Site::Start());
  absl::SleepFor(kIdle);
  LATCHKEY_ASSIGN_OR_RETURN(const double idle,
                            MemoryOf(site->broker().pid(), "VmRSS"));
  LATCHKEY_ASSIGN_OR_RETURN(const double peak, PeakOfJoin(*site));
  report.AddCondition("memory",
                      fmt::format("resident, shared libraries included; "
                                  "latchkeyd {} after its watches are up",
                                  absl::FormatDuration(kIdle)));
  report.Add({.name = "memory: latchkeyd, idle",
              .unit = "MiB",
              .measured = idle,
              .goal = Goal{Better::kLess, 40}});
  report.Add({.name = "memory: latchkey-join, peak",
              .unit = "MiB",
              .measured = peak,
              .goal = Goal{Better::kLess, 20}});
  return absl::OkStatus();
}

}  // namespace latchkey_bench
