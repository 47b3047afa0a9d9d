#include "crypto/distinguished_name.h"

#include <openssl/objects.h>

#include "core/status_macros.h"
#include "crypto/der.h"
#include "crypto/openssl_error.h"

namespace latchkey {
namespace {

absl::StatusOr<std::string> ToUtf8(const ASN1_STRING* value) {
  unsigned char* bytes = nullptr;
  const int size = ASN1_STRING_to_UTF8(&bytes, value);
  if (size < 0) {
    return TakeOpensslError(absl::StatusCode::kInvalidArgument,
                            "a name in the subject is not text");
  }
  const OpensslBytes owner(bytes);
  std::string text(reinterpret_cast<const char*>(bytes),
                   static_cast<size_t>(size));
  if (text.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError("a name in the subject holds a NUL");
  }
  return text;
}

absl::Status Append(X509_NAME* name, int nid, std::string_view text) {
  // V_ASN1_UTF8STRING, not MBSTRING_UTF8: the latter enforces the lengths.
  if (X509_NAME_add_entry_by_NID(name, nid, V_ASN1_UTF8STRING, DerBytes(text),
                                 static_cast<int>(text.size()), -1, 0) != 1) {
    return TakeOpensslError(absl::StatusCode::kInternal,
                            "cannot write a subject");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DistinguishedName> ReadName(const X509_NAME* name) {
  DistinguishedName result;
  for (int i = 0; i < X509_NAME_entry_count(name); ++i) {
    const X509_NAME_ENTRY* entry = X509_NAME_get_entry(name, i);
    const int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
    if (nid != NID_commonName && nid != NID_organizationName) {
      result.has_other_attributes = true;
      continue;
    }
    LATCHKEY_ASSIGN_OR_RETURN(std::string text,
                              ToUtf8(X509_NAME_ENTRY_get_data(entry)));
    (nid == NID_commonName ? result.common_names : result.organizations)
        .push_back(std::move(text));
  }
  return result;
}

absl::Status AppendToName(X509_NAME* name, std::string_view common_name,
                          const std::vector<std::string>& organizations) {
  for (const std::string& organization : organizations) {
    LATCHKEY_RETURN_IF_ERROR(Append(name, NID_organizationName, organization));
  }
  if (common_name.empty()) return absl::OkStatus();
  return Append(name, NID_commonName, common_name);
}

}  // namespace latchkey
