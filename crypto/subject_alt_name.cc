#include "crypto/subject_alt_name.h"

#include <string_view>
#include <utility>

#include <absl/status/status.h>

#include "core/status_macros.h"
#include "crypto/openssl_error.h"

namespace latchkey {
namespace {

absl::Status CannotWrite() {
  return TakeOpensslError(absl::StatusCode::kInternal,
                          "cannot write a subjectAltName");
}

// Takes over `value`.
absl::Status Append(GENERAL_NAMES* names, int type, Asn1StringPtr value) {
  GeneralNamePtr name(GENERAL_NAME_new());
  if (value == nullptr || name == nullptr) return CannotWrite();
  GENERAL_NAME_set0_value(name.get(), type, value.release());
  if (sk_GENERAL_NAME_push(names, name.get()) <= 0) return CannotWrite();
  name.release();
  return absl::OkStatus();
}

absl::Status AppendText(GENERAL_NAMES* names, int type, std::string_view text) {
  Asn1StringPtr value(ASN1_STRING_type_new(V_ASN1_IA5STRING));
  if (value == nullptr || ASN1_STRING_set(value.get(), text.data(),
                                          static_cast<int>(text.size())) != 1) {
    return CannotWrite();
  }
  return Append(names, type, std::move(value));
}

absl::Status AppendAddress(GENERAL_NAMES* names, const std::string& text) {
  Asn1StringPtr value;
  // The parser would not see what stands behind a NUL.
  if (text.find('\0') == std::string::npos) {
    value.reset(a2i_IPADDRESS(text.c_str()));
  }
  if (value == nullptr) {
    return TakeOpensslError(absl::StatusCode::kInvalidArgument,
                            "a name to certify is no IP address");
  }
  return Append(names, GEN_IPADD, std::move(value));
}

}  // namespace

absl::StatusOr<SubjectAltNames> ReadSubjectAltNames(
    const GENERAL_NAMES* names) {
  SubjectAltNames result;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    int type = 0;
    const auto* value =
        static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(name, &type));
    if (type != GEN_DNS && type != GEN_URI) continue;
    std::string text(
        reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
        static_cast<size_t>(ASN1_STRING_length(value)));
    if (text.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError("a subjectAltName holds a NUL");
    }
    (type == GEN_DNS ? result.dns_names : result.uris)
        .push_back(std::move(text));
  }
  return result;
}

absl::StatusOr<GeneralNamesPtr> MakeGeneralNames(const SubjectAltNames& names) {
  GeneralNamesPtr result(GENERAL_NAMES_new());
  if (result == nullptr) return CannotWrite();
  for (const std::string& name : names.dns_names) {
    LATCHKEY_RETURN_IF_ERROR(AppendText(result.get(), GEN_DNS, name));
  }
  for (const std::string& address : names.ip_addresses) {
    LATCHKEY_RETURN_IF_ERROR(AppendAddress(result.get(), address));
  }
  for (const std::string& uri : names.uris) {
    LATCHKEY_RETURN_IF_ERROR(AppendText(result.get(), GEN_URI, uri));
  }
  return result;
}

}  // namespace latchkey
