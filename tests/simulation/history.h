// One history: brokers, nodes, thieves and a cluster, some minutes of faults,
// then peace, and what became of all of them. A seed decides everything.

#ifndef LATCHKEY_TESTS_SIMULATION_HISTORY_H_
#define LATCHKEY_TESTS_SIMULATION_HISTORY_H_

#include <cstdint>
#include <string>
#include <vector>

namespace latchkey_testing {

struct HistoryOptions {
  uint64_t seed = 0;
  int brokers = 3;
  int nodes = 5;
  // Of faults and of everything that hurts, 1 being the usual dose.
  double trouble = 1;
  bool keep_trace = false;
};

struct HistoryResult {
  // Empty: every invariant held, and whoever should have joined did.
  std::vector<std::string> violations;
  int joined = 0;
  // Machines that did not join and need not have: a thief was faster, or
  // somebody deleted their token.
  int excused = 0;
  int refused_thieves = 0;
  int certificates = 0;
  uint64_t turns = 0;
  std::vector<std::string> trace;
};

HistoryResult RunHistory(const HistoryOptions& options);

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_SIMULATION_HISTORY_H_
