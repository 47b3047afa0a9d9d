// OpenSSL's error queue, turned into a Status where the error arises. For this
// folder only.

#ifndef LATCHKEY_CRYPTO_OPENSSL_ERROR_H_
#define LATCHKEY_CRYPTO_OPENSSL_ERROR_H_

#include <string_view>

#include <absl/status/status.h>

namespace latchkey {

// A status of `code` that says `what` failed and OpenSSL's reason for it, which
// is one of OpenSSL's fixed texts: the details that OpenSSL keeps beside it may
// repeat input and are left out. Empties the thread's queue.
absl::Status TakeOpensslError(absl::StatusCode code, std::string_view what);

// For what can only fail if memory or OpenSSL itself is broken, so that nobody
// could go on: says `what` failed on standard error, and aborts.
[[noreturn]] void DieOfOpensslError(std::string_view what);

// Empties the thread's queue at the end of a scope. Every entry into this
// folder holds one: calls that succeed may leave errors behind too, and the TLS
// code that runs on the same thread would take them for its own.
class OpensslErrorGuard {
 public:
  OpensslErrorGuard() = default;
  OpensslErrorGuard(const OpensslErrorGuard&) = delete;
  OpensslErrorGuard& operator=(const OpensslErrorGuard&) = delete;
  ~OpensslErrorGuard();
};

}  // namespace latchkey

#endif  // LATCHKEY_CRYPTO_OPENSSL_ERROR_H_
