// IsOk, IsOkAndHolds and StatusIs, with the meaning of Abseil's later
// absl/status/status_matchers.h; ReasonIs for refusals.

#ifndef LATCHKEY_TESTS_TESTING_STATUS_MATCHERS_H_
#define LATCHKEY_TESTS_TESTING_STATUS_MATCHERS_H_

#include <ostream>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/refusal.h"

namespace latchkey_testing {

inline const absl::Status& StatusOf(const absl::Status& status) {
  return status;
}
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& status_or) {
  return status_or.status();
}

MATCHER(IsOk, negation ? "is not OK" : "is OK") {
  *result_listener << "which is " << StatusOf(arg).ToString();
  return arg.ok();
}

MATCHER_P(StatusIs, code,
          std::string(negation ? "is not " : "is ") +
              absl::StatusCodeToString(code)) {
  *result_listener << "which is " << StatusOf(arg).ToString();
  return StatusOf(arg).code() == code;
}

MATCHER_P2(StatusIs, code, message,
           std::string(negation ? "is not " : "is ") +
               absl::StatusCodeToString(code) + " with a matching message") {
  *result_listener << "which is " << StatusOf(arg).ToString();
  return StatusOf(arg).code() == code &&
         ::testing::Matches(message)(std::string(StatusOf(arg).message()));
}

// A refusal with this stable reason (core/reasons.h).
MATCHER_P(ReasonIs, wanted,
          "is a refusal with the reason " +
              std::string(std::string_view(wanted))) {
  const std::string reason = latchkey::ReasonOf(StatusOf(arg));
  *result_listener << "which is " << StatusOf(arg).ToString()
                   << " with the reason '" << reason << "'";
  return reason == wanted;
}

MATCHER_P(IsOkAndHolds, inner, "is OK and holds a matching value") {
  if (!arg.ok()) {
    *result_listener << "which is " << arg.status().ToString();
    return false;
  }
  return ::testing::ExplainMatchResult(inner, *arg, result_listener);
}

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_TESTING_STATUS_MATCHERS_H_
