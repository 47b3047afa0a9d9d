// LATCHKEY_RETURN_IF_ERROR and LATCHKEY_ASSIGN_OR_RETURN, with the meaning of
// the macros that later Abseil releases ship without the prefix.

#ifndef LATCHKEY_CORE_STATUS_MACROS_H_
#define LATCHKEY_CORE_STATUS_MACROS_H_

#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#define LATCHKEY_RETURN_IF_ERROR(expr)                                  \
  do {                                                                  \
    if (absl::Status latchkey_status = (expr); !latchkey_status.ok()) { \
      return latchkey_status;                                           \
    }                                                                   \
  } while (false)

#define LATCHKEY_CONCAT_INNER(a, b) a##b
#define LATCHKEY_CONCAT(a, b) LATCHKEY_CONCAT_INNER(a, b)

// `lhs` must not contain a comma outside parentheses.
#define LATCHKEY_ASSIGN_OR_RETURN(lhs, expr)                                   \
  LATCHKEY_ASSIGN_OR_RETURN_IMPL(LATCHKEY_CONCAT(latchkey_or_, __LINE__), lhs, \
                                 expr)

#define LATCHKEY_ASSIGN_OR_RETURN_IMPL(var, lhs, expr) \
  auto var = (expr);                                   \
  if (!var.ok()) return std::move(var).status();       \
  lhs = *std::move(var)

#endif  // LATCHKEY_CORE_STATUS_MACROS_H_
