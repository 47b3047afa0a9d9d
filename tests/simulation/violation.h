// What a history did that it must not.

#ifndef LATCHKEY_TESTS_SIMULATION_VIOLATION_H_
#define LATCHKEY_TESTS_SIMULATION_VIOLATION_H_

#include <string>
#include <string_view>
#include <vector>

namespace latchkey_testing {

struct Violation {
  // Which promise was broken: the same words each time.
  std::string promise;
  // By whom, and when.
  std::string detail;
};

class Violations {
 public:
  void Add(std::string_view promise, std::string detail) {
    all_.push_back({std::string(promise), std::move(detail)});
  }
  const std::vector<Violation>& all() const { return all_; }

 private:
  std::vector<Violation> all_;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_SIMULATION_VIOLATION_H_
