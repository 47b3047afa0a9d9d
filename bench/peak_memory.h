// The most memory that a program ever had.

#ifndef LATCHKEY_BENCH_PEAK_MEMORY_H_
#define LATCHKEY_BENCH_PEAK_MEMORY_H_

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

namespace latchkey_bench {

// `field` of /proc/PID/status, such as VmRSS, in MiB.
absl::StatusOr<double> MemoryOf(pid_t pid, std::string_view field);

// Runs `command` (the first word is a path) to its end and answers its peak
// resident memory in MiB. An error if it does not exit with 0.
//
// Not from getrusage(2): its maximum begins with that of the program that
// started the command, this one, which is larger than what is to be measured.
// The kernel is asked to stop the command as it exits, and its own peak is
// read.
absl::StatusOr<double> PeakMemoryOf(const std::vector<std::string>& command);

}  // namespace latchkey_bench

#endif  // LATCHKEY_BENCH_PEAK_MEMORY_H_
