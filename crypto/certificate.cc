#include "crypto/certificate.h"

#include <ctime>
#include <utility>

#include <absl/status/status.h>
#include <openssl/objects.h>

#include "core/status_macros.h"
#include "crypto/der.h"
#include "crypto/digest.h"
#include "crypto/distinguished_name.h"
#include "crypto/openssl_error.h"
#include "crypto/pem.h"
#include "crypto/public_key.h"
#include "crypto/subject_alt_name.h"

namespace latchkey {
namespace {

absl::Status Unreadable(std::string_view what) {
  return TakeOpensslError(absl::StatusCode::kInvalidArgument, what);
}

absl::StatusOr<absl::Time> ToTime(const ASN1_TIME* time) {
  std::tm parts = {};
  if (ASN1_TIME_to_tm(time, &parts) != 1) {
    return Unreadable("a certificate's validity is no time");
  }
  return absl::FromTM(parts, absl::UTCTimeZone());
}

absl::StatusOr<std::string> SerialOf(const X509* native) {
  const ASN1_INTEGER* serial = X509_get0_serialNumber(native);
  const BignumPtr number(ASN1_INTEGER_to_BN(serial, nullptr));
  if (number == nullptr) {
    return Unreadable("a certificate's serial number is no number");
  }
  std::string bytes(static_cast<size_t>(BN_num_bytes(number.get())), '\0');
  BN_bn2bin(number.get(), reinterpret_cast<unsigned char*>(bytes.data()));
  if (bytes.empty()) return "00";
  return (BN_is_negative(number.get()) != 0 ? "-" : "") + HexEncode(bytes);
}

// The one extension of `nid`; null if there is none. kInvalidArgument if there
// are two, or it does not parse.
template <typename Owner>
absl::StatusOr<Owner> ReadExtension(const X509* native, int nid) {
  constexpr int kAbsent = -1;
  int critical = 0;
  Owner owner(static_cast<typename Owner::pointer>(
      X509_get_ext_d2i(native, nid, &critical, nullptr)));
  if (owner == nullptr && critical != kAbsent) {
    return Unreadable("a certificate's extension does not parse");
  }
  return owner;
}

absl::StatusOr<bool> AllowsClientAuth(const X509* native) {
  LATCHKEY_ASSIGN_OR_RETURN(
      const ExtendedKeyUsagePtr usages,
      ReadExtension<ExtendedKeyUsagePtr>(native, NID_ext_key_usage));
  if (usages == nullptr) return true;
  for (int i = 0; i < sk_ASN1_OBJECT_num(usages.get()); ++i) {
    const int nid = OBJ_obj2nid(sk_ASN1_OBJECT_value(usages.get(), i));
    if (nid == NID_client_auth || nid == NID_anyExtendedKeyUsage) return true;
  }
  return false;
}

absl::StatusOr<Certificate> Parse(std::string_view der) {
  const auto native = FromDer<X509Ptr>(d2i_X509, der);
  if (native == nullptr) {
    return Unreadable("a CERTIFICATE block holds no certificate");
  }
  Certificate certificate;
  LATCHKEY_ASSIGN_OR_RETURN(DistinguishedName subject,
                            ReadName(X509_get_subject_name(native.get())));
  certificate.common_names = std::move(subject.common_names);
  certificate.organizations = std::move(subject.organizations);
  LATCHKEY_ASSIGN_OR_RETURN(
      const GeneralNamesPtr alt_names,
      ReadExtension<GeneralNamesPtr>(native.get(), NID_subject_alt_name));
  LATCHKEY_ASSIGN_OR_RETURN(SubjectAltNames names,
                            ReadSubjectAltNames(alt_names.get()));
  certificate.dns_names = std::move(names.dns_names);
  certificate.uris = std::move(names.uris);
  LATCHKEY_ASSIGN_OR_RETURN(certificate.serial, SerialOf(native.get()));
  certificate.fingerprint = Sha256Hex(der);
  LATCHKEY_ASSIGN_OR_RETURN(
      certificate.key_digest,
      DigestOfPublicKey(X509_get_X509_PUBKEY(native.get())));
  LATCHKEY_ASSIGN_OR_RETURN(certificate.not_before,
                            ToTime(X509_get0_notBefore(native.get())));
  LATCHKEY_ASSIGN_OR_RETURN(certificate.not_after,
                            ToTime(X509_get0_notAfter(native.get())));
  LATCHKEY_ASSIGN_OR_RETURN(certificate.allows_client_auth,
                            AllowsClientAuth(native.get()));
  return certificate;
}

}  // namespace

absl::StatusOr<std::vector<Certificate>> Certificate::ParseAll(
    std::string_view pem) {
  const OpensslErrorGuard guard;
  if (pem.size() > kMaxPemBytes) {
    return absl::InvalidArgumentError("certificates have at most 1 MiB");
  }
  LATCHKEY_ASSIGN_OR_RETURN(const std::vector<std::string> blocks,
                            DecodePemBlocks(pem, "CERTIFICATE"));
  if (blocks.empty()) {
    return absl::InvalidArgumentError("there is no PEM block CERTIFICATE");
  }
  std::vector<Certificate> certificates;
  certificates.reserve(blocks.size());
  for (const std::string& der : blocks) {
    LATCHKEY_ASSIGN_OR_RETURN(Certificate certificate, Parse(der));
    certificates.push_back(std::move(certificate));
  }
  return certificates;
}

}  // namespace latchkey
