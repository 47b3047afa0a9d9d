#include "crypto/openssl_error.h"

#include <cstdio>
#include <cstdlib>
#include <string>

#include <fmt/format.h>
#include <openssl/err.h>

namespace latchkey {
namespace {

// The oldest error is the cause, the later ones its echo on the way out.
std::string Describe(std::string_view what) {
  const char* reason = ERR_reason_error_string(ERR_peek_error());
  ERR_clear_error();
  return reason == nullptr ? std::string(what)
                           : fmt::format("{}: {}", what, reason);
}

}  // namespace

absl::Status TakeOpensslError(absl::StatusCode code, std::string_view what) {
  return {code, Describe(what)};
}

void DieOfOpensslError(std::string_view what) {
  fmt::print(stderr, "latchkey: {}\n", Describe(what));
  std::abort();
}

OpensslErrorGuard::~OpensslErrorGuard() { ERR_clear_error(); }

}  // namespace latchkey
