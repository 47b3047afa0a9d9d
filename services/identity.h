// Who calls: what a verified credential says of its holder.

#ifndef LATCHKEY_SERVICES_IDENTITY_H_
#define LATCHKEY_SERVICES_IDENTITY_H_

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

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

}  // namespace latchkey

#endif  // LATCHKEY_SERVICES_IDENTITY_H_
