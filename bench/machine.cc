#include "bench/machine.h"

#include <stdlib.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include <array>
#include <fstream>
#include <thread>

#include <fmt/format.h>

namespace latchkey_bench {
namespace {

std::string ProcessorModel() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

}  // namespace

std::string DescribeMachine() {
  struct sysinfo memory = {};
  sysinfo(&memory);
  utsname kernel = {};
  uname(&kernel);
  return fmt::format("{} x {}, {} GiB, Linux {}",
                     std::thread::hardware_concurrency(), ProcessorModel(),
                     (memory.totalram * memory.mem_unit + (1UL << 29)) >> 30,
                     kernel.release);
}

std::string LoadAverages() {
  std::array<double, 3> loads = {};
  getloadavg(loads.data(), static_cast<int>(loads.size()));
  return fmt::format("{:.2f} {:.2f} {:.2f}", loads[0], loads[1], loads[2]);
}

}  // namespace latchkey_bench
