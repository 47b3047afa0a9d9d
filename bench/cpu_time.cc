#include "bench/cpu_time.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>

#include <absl/time/clock.h>

namespace latchkey_bench {
namespace {

struct Process {
  std::string name;
  int parent = 0;
  absl::Duration used;
  absl::Duration used_by_ended_children;
};

absl::Duration Ticks(long ticks) {
  return absl::Seconds(1) * ticks / sysconf(_SC_CLK_TCK);
}

std::string Slurp(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Nothing if it has ended meanwhile.
std::optional<Process> ReadProcess(const std::filesystem::path& folder) {
  const std::string stat = Slurp(folder / "stat");
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(stat.substr(name_end + 1));
  Process process;
  std::string skipped;
  fields >> skipped >> process.parent;
  for (int field = 5; field < 14; ++field) fields >> skipped;
  long user = 0;
  long system = 0;
  long children_user = 0;
  long children_system = 0;
  fields >> user >> system >> children_user >> children_system;
  if (!fields) return std::nullopt;
  process.used = Ticks(user + system);
  process.used_by_ended_children = Ticks(children_user + children_system);
  // The control plane's programs are one file; argv[0] tells them apart.
  const std::string arguments = Slurp(folder / "cmdline");
  process.name =
      std::filesystem::path(arguments.substr(0, arguments.find('\0')))
          .filename()
          .string();
  return process;
}

std::map<int, Process> ReadProcesses() {
  std::map<int, Process> processes;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc", error)) {
    const std::string pid = entry.path().filename().string();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    if (auto process = ReadProcess(entry.path())) {
      processes.emplace(std::stoi(pid), *std::move(process));
    }
  }
  return processes;
}

bool DescendsFrom(const std::map<int, Process>& processes, int pid,
                  int ancestor) {
  for (auto it = processes.find(pid); it != processes.end();
       it = processes.find(it->second.parent)) {
    if (it->second.parent == ancestor) return true;
  }
  return false;
}

}  // namespace

CpuTime CpuTimeSoFar() {
  const std::map<int, Process> processes = ReadProcesses();
  CpuTime time;
  for (const auto& [pid, process] : processes) {
    if (pid == getpid()) {
      time[kCallers] = process.used + process.used_by_ended_children;
    } else if (DescendsFrom(processes, pid, getpid())) {
      time[process.name] += process.used;
    }
  }
  return time;
}

CpuTime CpuMeter::Used() const {
  CpuTime used = CpuTimeSoFar();
  for (auto& [name, time] : used) {
    const auto it = begin_.find(name);
    if (it != begin_.end()) time -= it->second;
  }
  return used;
}

void AwaitIdle() {
  constexpr absl::Duration kWindow = absl::Milliseconds(200);
  const absl::Time end = absl::Now() + absl::Seconds(10);
  absl::Duration used = absl::InfiniteDuration();
  while (used > kWindow / 10 && absl::Now() < end) {
    const CpuMeter meter;
    absl::SleepFor(kWindow);
    used = absl::ZeroDuration();
    for (const auto& [name, time] : meter.Used()) {
      if (name != kCallers) used += time;
    }
  }
}

}  // namespace latchkey_bench
