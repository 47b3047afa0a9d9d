// What goes wrong in a history: each fault is a numbered decision, so that a
// history can be repeated with some of its faults only.

#ifndef LATCHKEY_TESTS_SIMULATION_FAULTS_H_
#define LATCHKEY_TESTS_SIMULATION_FAULTS_H_

#include <cstdint>
#include <optional>
#include <random>
#include <set>

#include <absl/time/time.h>

namespace latchkey_testing {

// Draws from a generator of its own: what one fault does to the order of turns
// does not change which faults are drawn after it.
class Faults {
 public:
  // `only`: the numbers of those that happen; nullopt: all that are drawn.
  Faults(uint64_t seed, std::optional<std::set<int>> only)
      : generator_(seed), only_(std::move(only)) {}

  // Whether a fault of this probability happens here and now.
  bool Strike(double probability) {
    if (probability <= 0 || Fraction() >= probability) return false;
    const int number = drawn_++;
    return !only_.has_value() || only_->contains(number);
  }
  // How many were drawn so far, whether they happened or not: the last one's
  // number is one less.
  int drawn() const { return drawn_; }

  // How a fault happens. Below() is in [0, bound), Fraction() in [0, 1).
  uint64_t Below(uint64_t bound) { return generator_() % bound; }
  double Fraction() {
    return static_cast<double>(generator_() >> 11) * 0x1.0p-53;
  }
  // From nothing to `longest`.
  absl::Duration UpTo(absl::Duration longest) { return longest * Fraction(); }

 private:
  std::mt19937_64 generator_;
  const std::optional<std::set<int>> only_;
  int drawn_ = 0;
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_SIMULATION_FAULTS_H_
