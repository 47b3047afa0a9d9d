// Any bytes as a PKCS#10 request, in PEM and as what stands within the PEM.
// What is accepted is signed by its own key: a byte changed in it says the
// same, or is refused.

#include <string>
#include <string_view>

#include <absl/strings/escaping.h>

#include "crypto/certificate_request.h"
#include "tests/fuzz/insist.h"

namespace {

using latchkey::CertificateRequest;
using latchkey_testing::ChoiceFrom;
using latchkey_testing::Insist;

std::string PemOf(std::string_view der) {
  return "-----BEGIN CERTIFICATE REQUEST-----\n" +
         absl::Base64Escape(absl::string_view(der.data(), der.size())) +
         "\n-----END CERTIFICATE REQUEST-----\n";
}

bool SaysTheSame(const CertificateRequest& a, const CertificateRequest& b) {
  return a.common_names == b.common_names &&
         a.organizations == b.organizations &&
         a.has_other_subject_attributes == b.has_other_subject_attributes &&
         a.has_subject_alt_name == b.has_subject_alt_name &&
         a.has_other_extensions == b.has_other_extensions &&
         a.key_type == b.key_type && a.key_bits == b.key_bits &&
         a.key_digest == b.key_digest;
}

void CheckPem(const std::string& pem) {
  const auto request = CertificateRequest::Parse(pem);
  if (!request.ok()) {
    Insist(absl::IsInvalidArgument(request.status()));
    return;
  }
  Insist(request->key_digest.size() == 64);
  const auto padded = CertificateRequest::Parse("\n \t" + pem + "\r\n");
  Insist(padded.ok() || pem.size() + 6 > CertificateRequest::kMaxPemBytes);
  if (padded.ok()) Insist(SaysTheSame(*request, *padded));
  Insist(!CertificateRequest::Parse(pem + "\n" + pem).ok());
  Insist(!CertificateRequest::Parse(pem + "x").ok());
}

void CheckDer(std::string_view der) {
  const std::string pem = PemOf(der);
  CheckPem(pem);
  const auto request = CertificateRequest::Parse(pem);
  if (!request.ok()) return;
  Insist(!CertificateRequest::Parse(PemOf(std::string(der) + '\0')).ok());
  std::string changed(der);
  changed[ChoiceFrom(der) % der.size()] ^=
      static_cast<char>(1 << ChoiceFrom(der, 1) % 8);
  const auto other = CertificateRequest::Parse(PemOf(changed));
  if (other.ok()) Insist(SaysTheSame(*request, *other));
}

// What is in the block of a PEM, for the check of the bytes.
std::string DerIn(std::string_view pem) {
  const size_t begin = pem.find("-----\n");
  const size_t end = pem.find("\n-----END", begin);
  std::string der;
  if (begin == std::string_view::npos || end == std::string_view::npos ||
      end < begin + 6) {
    return der;
  }
  absl::Base64Unescape(std::string(pem.substr(begin + 6, end - begin - 6)),
                       &der);
  return der;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = latchkey_testing::AsText(data, size);
  CheckPem(std::string(text));
  CheckDer(text);
  if (const std::string der = DerIn(text); !der.empty()) CheckDer(der);
  return 0;
}
