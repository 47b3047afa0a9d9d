#include "crypto/certificate_request.h"

#include <algorithm>
#include <array>
#include <utility>

#include <absl/status/status.h>
#include <openssl/objects.h>

#include "core/status_macros.h"
#include "crypto/der.h"
#include "crypto/distinguished_name.h"
#include "crypto/openssl_error.h"
#include "crypto/pem.h"
#include "crypto/signing_digest.h"
#include "crypto/subject_alt_name.h"
#include "crypto/verified_request.h"

namespace latchkey {
namespace {

// Reads one extensionRequest's value into `request`.
absl::Status ReadExtensions(const ASN1_TYPE* value,
                            CertificateRequest& request) {
  absl::Status malformed =
      absl::InvalidArgumentError("an extensionRequest holds no extensions");
  if (value == nullptr || value->type != V_ASN1_SEQUENCE) return malformed;
  const auto extensions = FromDer<ExtensionsPtr>(
      d2i_X509_EXTENSIONS,
      {reinterpret_cast<const char*>(
           ASN1_STRING_get0_data(value->value.sequence)),
       static_cast<size_t>(ASN1_STRING_length(value->value.sequence))});
  if (extensions == nullptr) return malformed;
  for (int i = 0; i < sk_X509_EXTENSION_num(extensions.get()); ++i) {
    X509_EXTENSION* extension = sk_X509_EXTENSION_value(extensions.get(), i);
    if (OBJ_obj2nid(X509_EXTENSION_get_object(extension)) ==
        NID_subject_alt_name) {
      request.has_subject_alt_name = true;
    } else {
      request.has_other_extensions = true;
    }
  }
  return absl::OkStatus();
}

// Every value of every extensionRequest. OpenSSL's own getter stops at the
// first, while another reader may take the last.
absl::Status ReadAttributes(const X509_REQ* native,
                            CertificateRequest& request) {
  for (int i = 0; i < X509_REQ_get_attr_count(native); ++i) {
    X509_ATTRIBUTE* attribute = X509_REQ_get_attr(native, i);
    const int nid = OBJ_obj2nid(X509_ATTRIBUTE_get0_object(attribute));
    // PKCS#9's, and Microsoft's 1.3.6.1.4.1.311.2.1.14.
    if (nid != NID_ext_req && nid != NID_ms_ext_req) continue;
    for (int j = 0; j < X509_ATTRIBUTE_count(attribute); ++j) {
      LATCHKEY_RETURN_IF_ERROR(
          ReadExtensions(X509_ATTRIBUTE_get0_type(attribute, j), request));
    }
  }
  return absl::OkStatus();
}

absl::Status CannotBuild() {
  return TakeOpensslError(absl::StatusCode::kInternal,
                          "cannot build a certificate request");
}

absl::Status AddSubjectAltName(X509_REQ* native,
                               const std::vector<std::string>& dns_names) {
  LATCHKEY_ASSIGN_OR_RETURN(const GeneralNamesPtr names,
                            MakeGeneralNames({.dns_names = dns_names}));
  X509_EXTENSIONS* extensions = nullptr;
  const int added = X509V3_add1_i2d(&extensions, NID_subject_alt_name,
                                    names.get(), 0, X509V3_ADD_DEFAULT);
  const ExtensionsPtr owner(extensions);
  if (added != 1 || X509_REQ_add_extensions(native, extensions) != 1) {
    return CannotBuild();
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CertificateRequest> CertificateRequest::Parse(
    std::string_view pem) {
  const OpensslErrorGuard guard;
  LATCHKEY_ASSIGN_OR_RETURN(VerifiedRequest verified,
                            VerifiedRequest::Parse(pem));
  LATCHKEY_ASSIGN_OR_RETURN(
      DistinguishedName subject,
      ReadName(X509_REQ_get_subject_name(verified.native.get())));
  CertificateRequest request;
  request.common_names = std::move(subject.common_names);
  request.organizations = std::move(subject.organizations);
  request.has_other_subject_attributes = subject.has_other_attributes;
  request.key_type = verified.key.type;
  request.key_bits = verified.key.bits;
  request.key_digest = std::move(verified.key.digest);
  LATCHKEY_RETURN_IF_ERROR(ReadAttributes(verified.native.get(), request));
  return request;
}

bool CertificateRequest::HasAcceptableKey() const {
  switch (key_type) {
    case KeyType::kP256:
    case KeyType::kP384:
    case KeyType::kEd25519:
    case KeyType::kRsa2048:
    case KeyType::kRsa4096:
      return true;
    case KeyType::kRsaOther:
      return key_bits >= 2048 && key_bits <= 8192;
    case KeyType::kOther:
      return false;
  }
  return false;
}

absl::StatusOr<std::string> BuildCertificateRequest(
    const PrivateKey& key, const RequestedSubject& subject) {
  const OpensslErrorGuard guard;
  const X509ReqPtr native(X509_REQ_new());
  if (native == nullptr ||
      X509_REQ_set_version(native.get(), X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_pubkey(native.get(), key.native()) != 1) {
    return CannotBuild();
  }
  LATCHKEY_RETURN_IF_ERROR(AppendToName(X509_REQ_get_subject_name(native.get()),
                                        subject.common_name,
                                        subject.organizations));
  if (!subject.dns_names.empty()) {
    LATCHKEY_RETURN_IF_ERROR(
        AddSubjectAltName(native.get(), subject.dns_names));
  }
  if (X509_REQ_sign(native.get(), key.native(), SigningDigest(key.type())) <=
      0) {
    return CannotBuild();
  }
  LATCHKEY_ASSIGN_OR_RETURN(const std::string der,
                            ToDer(i2d_X509_REQ, native.get()));
  return EncodePem("CERTIFICATE REQUEST", der);
}

}  // namespace latchkey
