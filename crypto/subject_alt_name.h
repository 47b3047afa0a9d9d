// The names in a subjectAltName extension (RFC 5280, 4.2.1.6). For this folder
// only.

#ifndef LATCHKEY_CRYPTO_SUBJECT_ALT_NAME_H_
#define LATCHKEY_CRYPTO_SUBJECT_ALT_NAME_H_

#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "crypto/openssl_ptr.h"

namespace latchkey {

// Other kinds of names are left out.
struct SubjectAltNames {
  std::vector<std::string> dns_names = {};
  std::vector<std::string> ip_addresses = {};  // textual, IPv4 or IPv6
  std::vector<std::string> uris = {};

  bool empty() const {
    return dns_names.empty() && ip_addresses.empty() && uris.empty();
  }
};

// DNS names and URIs of `names`; IP addresses are not read. kInvalidArgument if
// one holds a NUL.
absl::StatusOr<SubjectAltNames> ReadSubjectAltNames(const GENERAL_NAMES* names);

// kInvalidArgument if an IP address is none.
absl::StatusOr<GeneralNamesPtr> MakeGeneralNames(const SubjectAltNames& names);

}  // namespace latchkey

#endif  // LATCHKEY_CRYPTO_SUBJECT_ALT_NAME_H_
