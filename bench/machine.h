// The machine that the figures are from.

#ifndef LATCHKEY_BENCH_MACHINE_H_
#define LATCHKEY_BENCH_MACHINE_H_

#include <string>

namespace latchkey_bench {

// Processor, how many, memory, kernel.
std::string DescribeMachine();
// The load averages of 1, 5 and 15 minutes.
std::string LoadAverages();

}  // namespace latchkey_bench

#endif  // LATCHKEY_BENCH_MACHINE_H_
