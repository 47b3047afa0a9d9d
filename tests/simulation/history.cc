#include "tests/simulation/history.h"

#include <algorithm>
#include <vector>

#include "tests/simulation/world.h"

namespace latchkey_testing {
namespace {

// Whether the history breaks `promise` with these faults only.
bool Breaks(HistoryOptions options, const std::vector<int>& faults,
            const std::string& promise) {
  options.only_faults = std::set<int>(faults.begin(), faults.end());
  const HistoryResult result = RunHistory(options);
  return std::any_of(
      result.violations.begin(), result.violations.end(),
      [&](const Violation& each) { return each.promise == promise; });
}

// All but those from `begin` to `end`.
std::vector<int> Without(const std::vector<int>& faults, size_t begin,
                         size_t end) {
  std::vector<int> rest(faults.begin(),
                        faults.begin() + static_cast<ptrdiff_t>(begin));
  rest.insert(rest.end(), faults.begin() + static_cast<ptrdiff_t>(end),
              faults.end());
  return rest;
}

}  // namespace

HistoryResult RunHistory(const HistoryOptions& options) {
  return World(options).Run();
}

// Takes away ever smaller pieces, from the end on: what came after the
// violation is gone first, and changes nothing of what came before.
std::set<int> ShrinkFaults(const HistoryOptions& options,
                           const HistoryResult& failed, int budget) {
  std::vector<int> faults;
  for (int i = 0; i < failed.faults; ++i) {
    if (!options.only_faults.has_value() || options.only_faults->contains(i)) {
      faults.push_back(i);
    }
  }
  const std::string promise = failed.violations.front().promise;
  size_t piece = std::max<size_t>(faults.size() / 2, 1);
  while (budget > 0 && !faults.empty()) {
    bool found = false;
    size_t end = faults.size();
    while (end > 0 && budget > 0) {
      const size_t begin = end > piece ? end - piece : 0;
      --budget;
      const std::vector<int> fewer = Without(faults, begin, end);
      if (Breaks(options, fewer, promise)) {
        faults = fewer;
        found = true;
      }
      end = begin;
    }
    if (piece > 1) {
      piece /= 2;
    } else if (!found) {
      break;
    }
  }
  return {faults.begin(), faults.end()};
}

}  // namespace latchkey_testing
