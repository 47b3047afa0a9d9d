// Certificates for brokers and provisioners of a test.

#ifndef LATCHKEY_TESTS_E2E_TEST_PKI_H_
#define LATCHKEY_TESTS_E2E_TEST_PKI_H_

#include <string>

#include <absl/time/clock.h>
#include <absl/time/time.h>

#include "crypto/certificate_authority.h"
#include "tests/testing/temp_dir.h"

namespace latchkey_testing {

inline constexpr char kAutoscaler[] = "spiffe://example.org/autoscaler";

// Files of one certificate and its key.
struct IdentityFiles {
  std::string certificate;
  std::string private_key;
};

class TestPki {
 public:
  TestPki() { dir_.Write("ca.crt", authority_.certificate_pem()); }

  std::string ca_file() const { return dir_.File("ca.crt"); }
  std::string ca_pem() const { return authority_.certificate_pem(); }

  latchkey::IssuedIdentity Server() const {
    latchkey::CertificateProfile profile = Validity();
    profile.common_name = "broker";
    profile.dns_names = {"localhost"};
    profile.ip_addresses = {"127.0.0.1"};
    profile.server_auth = true;
    return authority_.Issue(profile).value();
  }
  // A client certificate with one SPIFFE ID, valid from now for `validity`,
  // which may be in the past.
  latchkey::IssuedIdentity Client(
      const std::string& spiffe_id,
      absl::Duration validity = absl::Hours(1)) const {
    return Client({.common_name = "client", .uris = {spiffe_id}}, validity);
  }
  // The same with the names of `profile`.
  latchkey::IssuedIdentity Client(
      latchkey::CertificateProfile profile,
      absl::Duration validity = absl::Hours(1)) const {
    profile.client_auth = true;
    profile.not_before = Validity().not_before;
    profile.not_after = absl::Now() + validity;
    return authority_.Issue(profile).value();
  }
  IdentityFiles Save(const std::string& name,
                     const latchkey::IssuedIdentity& identity) const {
    return {dir_.Write(name + ".crt", identity.certificate_pem),
            dir_.Write(name + ".key", identity.private_key_pem.Reveal())};
  }

 private:
  static latchkey::CertificateProfile Validity() {
    latchkey::CertificateProfile profile;
    profile.not_before = absl::Now() - absl::Hours(2);
    profile.not_after = absl::Now() + absl::Hours(24);
    return profile;
  }

  TempDir dir_;
  latchkey::CertificateAuthority authority_ =
      latchkey::CertificateAuthority::Create("test authority",
                                             absl::Now() - absl::Hours(3),
                                             absl::Now() + absl::Hours(48))
          .value();
};

}  // namespace latchkey_testing

#endif  // LATCHKEY_TESTS_E2E_TEST_PKI_H_
