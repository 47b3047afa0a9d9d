// A test of fairness for counts of equally likely things.

#ifndef LATCHKEY_TESTS_TESTING_CHI_SQUARE_H_
#define LATCHKEY_TESTS_TESTING_CHI_SQUARE_H_

#include <map>
#include <string_view>

namespace latchkey_testing {

// Pearson's chi-square of the characters of `text` against the hypothesis that
// each character of `alphabet` is equally likely. With 36 characters (35
// degrees of freedom) fair draws stay below 90 but for one time in a million.
inline double ChiSquare(std::string_view text, std::string_view alphabet) {
  std::map<char, double> counts;
  for (const char c : text) ++counts[c];
  const double expected =
      static_cast<double>(text.size()) / static_cast<double>(alphabet.size());
  double sum = 0;
  for (const char c : alphabet) {
    const double difference = counts[c] - expected;
    sum += difference * difference / expected;
  }
  return sum;
}

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_TESTING_CHI_SQUARE_H_
