// A certificate authority in memory, for the embedded control plane and tests.
// It signs what it is told to: what may be signed is the caller's to decide.

#ifndef LATCHKEY_CRYPTO_CERTIFICATE_AUTHORITY_H_
#define LATCHKEY_CRYPTO_CERTIFICATE_AUTHORITY_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "crypto/private_key.h"

struct x509_st;         // OpenSSL's X509
struct X509_pubkey_st;  // OpenSSL's X509_PUBKEY

namespace latchkey {

// The leaf to issue. An empty name is left out of the subject.
struct CertificateProfile {
  std::string common_name = {};
  std::vector<std::string> organizations = {};
  std::vector<std::string> dns_names = {};
  std::vector<std::string> ip_addresses = {};
  std::vector<std::string> uris = {};
  absl::Time not_before = absl::InfiniteFuture();
  absl::Time not_after = absl::InfinitePast();
  bool client_auth = false;
  bool server_auth = false;
};

// A certificate with its key, both in PEM.
struct IssuedIdentity {
  std::string certificate_pem;
  SecretString private_key_pem;
};

// Immutable, safe for concurrent use.
class CertificateAuthority {
 public:
  // A self-signed P-256 root, valid from `not_before` to `not_after`, which
  // cannot certify other authorities. kInvalidArgument if it would never be
  // valid.
  static absl::StatusOr<CertificateAuthority> Create(
      std::string_view common_name, absl::Time not_before,
      absl::Time not_after);

  // The one that these PEMs were kept of. kInvalidArgument if either is none,
  // or they do not belong together; the message repeats neither.
  static absl::StatusOr<CertificateAuthority> Load(
      std::string_view certificate_pem, std::string_view private_key_pem);

  const std::string& certificate_pem() const { return certificate_pem_; }
  SecretString private_key_pem() const { return key_.ToPem(); }

  // Certifies the key of the PKCS#10 request `csr_pem`; of the request itself
  // nothing else is taken over. kInvalidArgument if the request does not parse
  // (CertificateRequest::Parse), or the profile names something that is no IP
  // address or would never be valid. The profile may outlive the authority's
  // own certificate.
  absl::StatusOr<std::string> SignRequest(
      std::string_view csr_pem, const CertificateProfile& profile) const;

  // A fresh P-256 key, and its certificate.
  absl::StatusOr<IssuedIdentity> Issue(const CertificateProfile& profile) const;

 private:
  CertificateAuthority(PrivateKey key, std::shared_ptr<x509_st> certificate,
                       std::string certificate_pem);
  absl::StatusOr<std::string> Certify(X509_pubkey_st* key,
                                      const CertificateProfile& profile) const;

  PrivateKey key_;
  // Shared: immutable, like the key.
  std::shared_ptr<x509_st> certificate_;
  std::string certificate_pem_;
};

}  // namespace latchkey

#endif  // LATCHKEY_CRYPTO_CERTIFICATE_AUTHORITY_H_
