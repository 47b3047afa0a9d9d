// What a test does where it cannot run.

#ifndef LATCHKEY_TESTS_TESTING_LEFT_OUT_H_
#define LATCHKEY_TESTS_TESTING_LEFT_OUT_H_

#include <cstdlib>
#include <string_view>

#include <gtest/gtest.h>

namespace latchkey_testing {

// LATCHKEY_REQUIRE_ALL=1 in the environment, as continuous integration has it.
inline bool NothingMayBeLeftOut() {
  const char* required = std::getenv("LATCHKEY_REQUIRE_ALL");
  return required != nullptr && std::string_view(required) == "1";
}

}  // namespace latchkey_testing

// Ends the test (its body, or its SetUp): skipped, with `what` is missing here,
// or failed if nothing may be left out.
#define LATCHKEY_LEAVE_OUT(what)                       \
  do {                                                 \
    if (::latchkey_testing::NothingMayBeLeftOut()) {   \
      GTEST_FAIL() << "may not be left out: " << what; \
    }                                                  \
    GTEST_SKIP() << "LEFT OUT: " << what;              \
  } while (false)

#endif  // LATCHKEY_TESTS_TESTING_LEFT_OUT_H_
