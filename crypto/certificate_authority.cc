#include "crypto/certificate_authority.h"

#include <utility>

#include <absl/status/status.h>
#include <openssl/objects.h>

#include "core/status_macros.h"
#include "crypto/der.h"
#include "crypto/digest.h"
#include "crypto/distinguished_name.h"
#include "crypto/openssl_error.h"
#include "crypto/openssl_ptr.h"
#include "crypto/pem.h"
#include "crypto/random.h"
#include "crypto/signing_digest.h"
#include "crypto/subject_alt_name.h"
#include "crypto/verified_request.h"

namespace latchkey {
namespace {

enum class Critical { kNo, kYes };

absl::Status CannotIssue() {
  return TakeOpensslError(absl::StatusCode::kInternal,
                          "cannot issue a certificate");
}

absl::Status AddExtension(X509* native, int nid, void* value,
                          Critical critical) {
  if (value == nullptr ||
      X509_add1_ext_i2d(native, nid, value, critical == Critical::kYes ? 1 : 0,
                        X509V3_ADD_DEFAULT) != 1) {
    return CannotIssue();
  }
  return absl::OkStatus();
}

// 128 random bits, the highest of them 0 and the second 1: positive, never
// short, and within the 20 bytes of RFC 5280, 4.1.2.2.
absl::Status SetSerial(X509* native) {
  std::string bytes = RandomBytes(16);
  bytes[0] = static_cast<char>((bytes[0] & 0x3F) | 0x40);
  const BignumPtr number(
      BN_bin2bn(DerBytes(bytes), static_cast<int>(bytes.size()), nullptr));
  const Asn1IntegerPtr serial(
      number == nullptr ? nullptr : BN_to_ASN1_INTEGER(number.get(), nullptr));
  if (serial == nullptr || X509_set_serialNumber(native, serial.get()) != 1) {
    return CannotIssue();
  }
  return absl::OkStatus();
}

absl::Status SetValidity(X509* native, absl::Time not_before,
                         absl::Time not_after) {
  // What UTCTime and GeneralizedTime can say (RFC 5280, 4.1.2.5); OpenSSL would
  // write a year of five digits.
  const absl::TimeZone utc = absl::UTCTimeZone();
  const absl::Time first = absl::FromCivil(absl::CivilYear(1950), utc);
  const absl::Time end = absl::FromCivil(absl::CivilYear(10000), utc);
  if (not_before < first || not_after >= end || not_before >= not_after) {
    return absl::InvalidArgumentError(
        "a certificate's validity begins and ends, in this order, between the "
        "years 1950 and 9999");
  }
  const Asn1TimePtr from(ASN1_TIME_set(nullptr, absl::ToTimeT(not_before)));
  const Asn1TimePtr to(ASN1_TIME_set(nullptr, absl::ToTimeT(not_after)));
  if (from == nullptr || to == nullptr ||
      X509_set1_notBefore(native, from.get()) != 1 ||
      X509_set1_notAfter(native, to.get()) != 1) {
    return TakeOpensslError(absl::StatusCode::kInvalidArgument,
                            "a certificate's validity cannot be written");
  }
  return absl::OkStatus();
}

enum class Role { kAuthority, kLeaf };

absl::Status AddBasicConstraints(X509* native, Role role) {
  const OpensslPtr<BASIC_CONSTRAINTS, BASIC_CONSTRAINTS_free> constraints(
      BASIC_CONSTRAINTS_new());
  if (constraints == nullptr) return CannotIssue();
  if (role == Role::kAuthority) {
    // TRUE in DER; OpenSSL writes the byte as it is, and Go refuses others.
    constraints->ca = 0xff;
    constraints->pathlen = ASN1_INTEGER_new();
    if (constraints->pathlen == nullptr ||
        ASN1_INTEGER_set(constraints->pathlen, 0) != 1) {
      return CannotIssue();
    }
  }
  return AddExtension(native, NID_basic_constraints, constraints.get(),
                      Critical::kYes);
}

absl::Status AddKeyUsage(X509* native, std::initializer_list<int> bits) {
  const Asn1StringPtr usage(ASN1_BIT_STRING_new());
  if (usage == nullptr) return CannotIssue();
  for (const int bit : bits) {
    if (ASN1_BIT_STRING_set_bit(usage.get(), bit, 1) != 1) {
      return CannotIssue();
    }
  }
  return AddExtension(native, NID_key_usage, usage.get(), Critical::kYes);
}

// The bits of keyUsage (RFC 5280, 4.2.1.3).
constexpr int kDigitalSignature = 0;
constexpr int kKeyEncipherment = 2;
constexpr int kKeyCertSign = 5;
constexpr int kCrlSign = 6;

absl::Status AddExtendedKeyUsage(X509* native,
                                 const CertificateProfile& profile) {
  const ExtendedKeyUsagePtr usages(EXTENDED_KEY_USAGE_new());
  if (usages == nullptr) return CannotIssue();
  // OpenSSL's built-in objects are static, so that the owner frees nothing that
  // is not its own.
  if (profile.client_auth &&
      sk_ASN1_OBJECT_push(usages.get(), OBJ_nid2obj(NID_client_auth)) <= 0) {
    return CannotIssue();
  }
  if (profile.server_auth &&
      sk_ASN1_OBJECT_push(usages.get(), OBJ_nid2obj(NID_server_auth)) <= 0) {
    return CannotIssue();
  }
  // The extension is SIZE (1..MAX): without a usage there is none.
  if (sk_ASN1_OBJECT_num(usages.get()) == 0) return absl::OkStatus();
  return AddExtension(native, NID_ext_key_usage, usages.get(), Critical::kNo);
}

// RFC 7093, 2, method 1: the leftmost 160 bits of the SHA-256 of the key's
// bits.
absl::Status AddSubjectKeyId(X509* native) {
  const ASN1_BIT_STRING* bits = X509_get0_pubkey_bitstr(native);
  const std::string id =
      Sha256({reinterpret_cast<const char*>(ASN1_STRING_get0_data(bits)),
              static_cast<size_t>(ASN1_STRING_length(bits))})
          .substr(0, 20);
  const Asn1StringPtr value(ASN1_OCTET_STRING_new());
  if (value == nullptr ||
      ASN1_OCTET_STRING_set(value.get(), DerBytes(id),
                            static_cast<int>(id.size())) != 1) {
    return CannotIssue();
  }
  return AddExtension(native, NID_subject_key_identifier, value.get(),
                      Critical::kNo);
}

absl::Status AddAuthorityKeyId(X509* native, X509* issuer) {
  const OpensslPtr<AUTHORITY_KEYID, AUTHORITY_KEYID_free> value(
      AUTHORITY_KEYID_new());
  const ASN1_OCTET_STRING* id = X509_get0_subject_key_id(issuer);
  if (value == nullptr || id == nullptr) return CannotIssue();
  value->keyid = ASN1_OCTET_STRING_dup(id);
  if (value->keyid == nullptr) return CannotIssue();
  return AddExtension(native, NID_authority_key_identifier, value.get(),
                      Critical::kNo);
}

absl::Status AddSubjectAltName(X509* native,
                               const CertificateProfile& profile) {
  const SubjectAltNames names{.dns_names = profile.dns_names,
                              .ip_addresses = profile.ip_addresses,
                              .uris = profile.uris};
  if (names.empty()) return absl::OkStatus();
  LATCHKEY_ASSIGN_OR_RETURN(const GeneralNamesPtr value,
                            MakeGeneralNames(names));
  // RFC 5280, 4.2.1.6: critical if the subject is empty.
  const bool has_subject =
      X509_NAME_entry_count(X509_get_subject_name(native)) > 0;
  return AddExtension(native, NID_subject_alt_name, value.get(),
                      has_subject ? Critical::kNo : Critical::kYes);
}

absl::StatusOr<std::string> SignedPem(X509* native, const PrivateKey& key) {
  if (X509_sign(native, key.native(), SigningDigest(key.type())) <= 0) {
    return CannotIssue();
  }
  LATCHKEY_ASSIGN_OR_RETURN(const std::string der, ToDer(i2d_X509, native));
  return EncodePem("CERTIFICATE", der);
}

}  // namespace

CertificateAuthority::CertificateAuthority(PrivateKey key,
                                           std::shared_ptr<x509_st> certificate,
                                           std::string certificate_pem)
    : key_(std::move(key)),
      certificate_(std::move(certificate)),
      certificate_pem_(std::move(certificate_pem)) {}

absl::StatusOr<CertificateAuthority> CertificateAuthority::Create(
    std::string_view common_name, absl::Time not_before, absl::Time not_after) {
  const OpensslErrorGuard guard;
  LATCHKEY_ASSIGN_OR_RETURN(PrivateKey key,
                            PrivateKey::Generate(KeyType::kP256));
  X509Ptr native(X509_new());
  if (native == nullptr ||
      X509_set_version(native.get(), X509_VERSION_3) != 1 ||
      X509_set_pubkey(native.get(), key.native()) != 1) {
    return CannotIssue();
  }
  LATCHKEY_RETURN_IF_ERROR(SetSerial(native.get()));
  LATCHKEY_RETURN_IF_ERROR(SetValidity(native.get(), not_before, not_after));
  LATCHKEY_RETURN_IF_ERROR(
      AppendToName(X509_get_subject_name(native.get()), common_name, {}));
  if (X509_set_issuer_name(native.get(), X509_get_subject_name(native.get())) !=
      1) {
    return CannotIssue();
  }
  LATCHKEY_RETURN_IF_ERROR(AddBasicConstraints(native.get(), Role::kAuthority));
  LATCHKEY_RETURN_IF_ERROR(
      AddKeyUsage(native.get(), {kDigitalSignature, kKeyCertSign, kCrlSign}));
  LATCHKEY_RETURN_IF_ERROR(AddSubjectKeyId(native.get()));
  LATCHKEY_ASSIGN_OR_RETURN(std::string pem, SignedPem(native.get(), key));
  return CertificateAuthority(std::move(key), std::move(native),
                              std::move(pem));
}

absl::StatusOr<CertificateAuthority> CertificateAuthority::Load(
    std::string_view certificate_pem, std::string_view private_key_pem) {
  const OpensslErrorGuard guard;
  LATCHKEY_ASSIGN_OR_RETURN(
      const PemBlock block,
      DecodeOnlyPemBlock(certificate_pem, {"CERTIFICATE"}));
  X509Ptr native = FromDer<X509Ptr>(d2i_X509, block.der);
  if (native == nullptr) {
    return TakeOpensslError(absl::StatusCode::kInvalidArgument,
                            "the authority's certificate does not parse");
  }
  LATCHKEY_ASSIGN_OR_RETURN(PrivateKey key,
                            PrivateKey::FromPem(private_key_pem));
  if (X509_check_private_key(native.get(), key.native()) != 1) {
    return absl::InvalidArgumentError(
        "the authority's key is not that of its certificate");
  }
  return CertificateAuthority(std::move(key), std::move(native),
                              std::string(certificate_pem));
}

absl::StatusOr<std::string> CertificateAuthority::SignRequest(
    std::string_view csr_pem, const CertificateProfile& profile) const {
  const OpensslErrorGuard guard;
  LATCHKEY_ASSIGN_OR_RETURN(const VerifiedRequest request,
                            VerifiedRequest::Parse(csr_pem));
  return Certify(X509_REQ_get_X509_PUBKEY(request.native.get()), profile);
}

absl::StatusOr<IssuedIdentity> CertificateAuthority::Issue(
    const CertificateProfile& profile) const {
  const OpensslErrorGuard guard;
  LATCHKEY_ASSIGN_OR_RETURN(const PrivateKey key,
                            PrivateKey::Generate(KeyType::kP256));
  X509_PUBKEY* public_key = nullptr;
  const int set = X509_PUBKEY_set(&public_key, key.native());
  const X509PubkeyPtr owner(public_key);
  if (set != 1) return CannotIssue();
  LATCHKEY_ASSIGN_OR_RETURN(std::string pem, Certify(public_key, profile));
  return IssuedIdentity{.certificate_pem = std::move(pem),
                        .private_key_pem = key.ToPem()};
}

absl::StatusOr<std::string> CertificateAuthority::Certify(
    X509_pubkey_st* key, const CertificateProfile& profile) const {
  const X509Ptr native(X509_new());
  EVP_PKEY* public_key = X509_PUBKEY_get0(key);
  if (native == nullptr ||
      X509_set_version(native.get(), X509_VERSION_3) != 1 ||
      X509_set_pubkey(native.get(), public_key) != 1 ||
      X509_set_issuer_name(native.get(),
                           X509_get_subject_name(certificate_.get())) != 1) {
    return CannotIssue();
  }
  LATCHKEY_RETURN_IF_ERROR(SetSerial(native.get()));
  LATCHKEY_RETURN_IF_ERROR(
      SetValidity(native.get(), profile.not_before, profile.not_after));
  LATCHKEY_RETURN_IF_ERROR(AppendToName(X509_get_subject_name(native.get()),
                                        profile.common_name,
                                        profile.organizations));
  LATCHKEY_RETURN_IF_ERROR(AddBasicConstraints(native.get(), Role::kLeaf));
  // Only RSA can wrap a key for somebody (TLS before 1.3).
  if (EVP_PKEY_is_a(public_key, "RSA") == 1) {
    LATCHKEY_RETURN_IF_ERROR(
        AddKeyUsage(native.get(), {kDigitalSignature, kKeyEncipherment}));
  } else {
    LATCHKEY_RETURN_IF_ERROR(AddKeyUsage(native.get(), {kDigitalSignature}));
  }
  LATCHKEY_RETURN_IF_ERROR(AddExtendedKeyUsage(native.get(), profile));
  LATCHKEY_RETURN_IF_ERROR(AddSubjectKeyId(native.get()));
  LATCHKEY_RETURN_IF_ERROR(AddAuthorityKeyId(native.get(), certificate_.get()));
  LATCHKEY_RETURN_IF_ERROR(AddSubjectAltName(native.get(), profile));
  return SignedPem(native.get(), key_);
}

}  // namespace latchkey
