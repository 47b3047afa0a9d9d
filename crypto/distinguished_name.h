// The attributes of an X.509 distinguished name. For this folder only.

#ifndef LATCHKEY_CRYPTO_DISTINGUISHED_NAME_H_
#define LATCHKEY_CRYPTO_DISTINGUISHED_NAME_H_

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "crypto/openssl_ptr.h"

namespace latchkey {

// In UTF-8 and in order; parts of a multi-valued RDN count like any others.
struct DistinguishedName {
  std::vector<std::string> common_names;
  std::vector<std::string> organizations;
  bool has_other_attributes = false;
};

// kInvalidArgument if a CN or O is not text or holds a NUL.
absl::StatusOr<DistinguishedName> ReadName(const X509_NAME* name);

// Appends the organizations, then the common name unless it is empty, each an
// RDN of its own, as Kubernetes does. Does not hold to the lengths of RFC 5280,
// appendix A: a CN of "system:node:" and a node name may be longer than 64.
absl::Status AppendToName(X509_NAME* name, std::string_view common_name,
                          const std::vector<std::string>& organizations);

}  // namespace latchkey

#endif  // LATCHKEY_CRYPTO_DISTINGUISHED_NAME_H_
