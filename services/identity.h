// Who calls: what a verified credential says of its holder.

#ifndef LATCHKEY_SERVICES_IDENTITY_H_
#define LATCHKEY_SERVICES_IDENTITY_H_

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "core/mutex.h"

namespace latchkey {

// An authenticated provisioner. The certificate was verified by TLS; here is
// only what it says.
struct Identity {
  // One name for the owner of tokens, the log and idempotency:
  // "spiffe://…" if there is a SPIFFE ID, else "dns:<first DNS SAN>", else
  // "cn:<common name>". Two certificates with one name are one provisioner.
  std::string name;

  std::string spiffe_id;
  std::vector<std::string> dns_names;
  std::string common_name;
};

// The identity in a verified client certificate in PEM. kUnauthenticated
// (UNAUTHENTICATED) if it says no usable name, or has more than one SPIFFE ID
// (which the X.509-SVID standard forbids). A name with characters outside
// printable ASCII is not usable.
absl::StatusOr<Identity> IdentityFromCertificate(std::string_view pem);

// The same, remembered: OpenSSL takes longer to read a certificate than the
// rest of a call does, and a caller shows the same one each time. What it says
// never changes; whether it is valid is for TLS to say. Safe for concurrent
// use.
class IdentityCache {
 public:
  // When so many are known, all are forgotten.
  static constexpr size_t kMaxKnown = 256;
  // Longer ones are read each time.
  static constexpr size_t kMaxKnownBytes = 16 << 10;

  absl::StatusOr<Identity> IdentityOf(std::string_view pem);

 private:
  Mutex mutex_;
  std::map<std::string, Identity, std::less<>> by_pem_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_IDENTITY_H_
