// One history: brokers, nodes, thieves and a cluster, a minute of faults, then
// peace, and what became of all of them. A seed decides everything.

#ifndef LATCHKEY_TESTS_SIMULATION_HISTORY_H_
#define LATCHKEY_TESTS_SIMULATION_HISTORY_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/violation.h"

namespace latchkey_testing {

struct HistoryOptions {
  uint64_t seed = 0;
  int brokers = 3;
  int nodes = 5;
  // Of faults and of everything that hurts, 1 being the usual dose.
  double trouble = 1;
  // The numbers of the faults that happen; nullopt: all that are drawn.
  std::optional<std::set<int>> only_faults;
  // Prints what happens, as it happens.
  bool trace = false;
};

struct HistoryResult {
  // Empty: every invariant held, and whoever should have joined did.
  std::vector<Violation> violations;
  // How many faults were drawn; they are numbered from 0.
  int faults = 0;
  int joined = 0;
  // Machines that did not join and need not have: a thief was faster, or
  // somebody deleted their token.
  int excused = 0;
  int refused_thieves = 0;
  int certificates = 0;
  uint64_t turns = 0;
};

HistoryResult RunHistory(const HistoryOptions& options);

// The fewest faults, as far as can be found with `budget` histories, with which
// the history of `options` still breaks the same promise.
std::set<int> ShrinkFaults(const HistoryOptions& options,
                           const HistoryResult& failed, int budget);

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_SIMULATION_HISTORY_H_
