#include "devcluster/cluster_authority.h"

#include <fmt/format.h>

#include "clients/files/durable_file.h"
#include "clients/files/read_file.h"
#include "core/status_macros.h"

namespace latchkey {
namespace {

constexpr size_t kMaxPemBytes = 64 << 10;

absl::StatusOr<CertificateAuthority> MakeAndKeep(const std::string& key_path,
                                                 const std::string& cert_path,
                                                 absl::Time now) {
  LATCHKEY_ASSIGN_OR_RETURN(CertificateAuthority ca,
                            CreateClusterAuthority(now));
  // The key last: with it, both are there.
  LATCHKEY_RETURN_IF_ERROR(
      WriteFileDurably(cert_path, ca.certificate_pem(), 0644));
  LATCHKEY_RETURN_IF_ERROR(
      WriteFileDurably(key_path, ca.private_key_pem().Reveal(), 0600));
  return ca;
}

}  // namespace

absl::StatusOr<CertificateAuthority> CreateClusterAuthority(absl::Time now) {
  return CertificateAuthority::Create("latchkey-dev-ca", now - absl::Hours(1),
                                      now + absl::Hours(10 * 365 * 24));
}

absl::StatusOr<CertificateAuthority> KeptClusterAuthority(
    const std::string& dir, absl::Time now) {
  const std::string cert_path = dir + "/ca.crt";
  const std::string key_path = dir + "/ca.key";
  absl::StatusOr<std::string> key = ReadFileBounded(key_path, kMaxPemBytes);
  // A certificate without its key is what a killed MakeAndKeep() leaves.
  if (absl::IsNotFound(key.status())) {
    return MakeAndKeep(key_path, cert_path, now);
  }
  if (!key.ok()) return key.status();
  const SecretString key_pem(*key);
  Wipe(*key);
  LATCHKEY_ASSIGN_OR_RETURN(const std::string certificate,
                            ReadFileBounded(cert_path, kMaxPemBytes));
  auto ca = CertificateAuthority::Load(certificate, key_pem.Reveal());
  if (ca.ok()) return ca;
  return absl::FailedPreconditionError(
      fmt::format("{} and {}: {}", cert_path, key_path,
                  std::string(ca.status().message())));
}

}  // namespace latchkey
