// What the parties of a history write to their logs, as far as somebody hears
// it.

#ifndef LATCHKEY_TESTS_SIMULATION_HEARD_LINES_H_
#define LATCHKEY_TESTS_SIMULATION_HEARD_LINES_H_

#include <string>
#include <vector>

namespace latchkey_testing {

// Forgets what was heard, and hears from now on, or not.
void HearLines(bool hear);
// Event and fields of every line since then, those of debugging included.
const std::vector<std::string>& HeardLines();

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_SIMULATION_HEARD_LINES_H_
