// What OpenSSL makes of the same bytes is the same in every history, and takes
// longer than all else in it: it is worked out once, and remembered. The linker
// puts these in the place of the functions that they are named after (--wrap in
// CMakeLists.txt); nothing in crypto/ knows of it.

#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "crypto/certificate.h"
#include "crypto/certificate_authority.h"
#include "crypto/certificate_request.h"
#include "tests/simulation/fiber_switch.h"

namespace latchkey_testing {
namespace {

using latchkey::Certificate;
using latchkey::CertificateAuthority;
using latchkey::CertificateProfile;
using latchkey::CertificateRequest;
using latchkey::PrivateKey;
using latchkey::RequestedSubject;

// Beyond it, the oldest memories make room by going all at once.
constexpr size_t kMaxRemembered = 50'000;

template <typename Key, typename Answer, typename Work>
const Answer& Remember(std::map<Key, Answer, std::less<>>& memory,
                       const auto& key, const Work& work) {
  const Overlooked overlooked;
  const auto found = memory.find(key);
  if (found != memory.end()) return found->second;
  if (memory.size() >= kMaxRemembered) memory.clear();
  return memory.emplace(Key(key), work()).first->second;
}

}  // namespace

// NOLINTBEGIN(readability-identifier-naming)
#define LATCHKEY_PARSE_REQUEST                                              \
  "_ZN8latchkey18CertificateRequest5ParseESt17basic_string_viewIcSt11char_" \
  "traitsIcEE"
#define LATCHKEY_PARSE_CERTIFICATES                                     \
  "_ZN8latchkey11Certificate8ParseAllESt17basic_string_viewIcSt11char_" \
  "traitsIcEE"
#define LATCHKEY_BUILD_REQUEST                                           \
  "_ZN8latchkey23BuildCertificateRequestB5cxx11ERKNS_10PrivateKeyERKNS_" \
  "16RequestedSubjectE"
#define LATCHKEY_SIGN_REQUEST                                                 \
  "_ZNK8latchkey20CertificateAuthority11SignRequestB5cxx11ESt17basic_string_" \
  "viewIcSt11char_traitsIcEERKNS_18CertificateProfileE"

absl::StatusOr<CertificateRequest> RealParseRequest(
    std::string_view pem) __asm__("__real_" LATCHKEY_PARSE_REQUEST);
absl::StatusOr<CertificateRequest> ParseRequest(std::string_view pem) __asm__(
    "__wrap_" LATCHKEY_PARSE_REQUEST);
absl::StatusOr<std::vector<Certificate>> RealParseCertificates(
    std::string_view pem) __asm__("__real_" LATCHKEY_PARSE_CERTIFICATES);
absl::StatusOr<std::vector<Certificate>> ParseCertificates(
    std::string_view pem) __asm__("__wrap_" LATCHKEY_PARSE_CERTIFICATES);
absl::StatusOr<std::string> RealBuildRequest(
    const PrivateKey& key,
    const RequestedSubject& subject) __asm__("__real_" LATCHKEY_BUILD_REQUEST);
absl::StatusOr<std::string> BuildRequest(
    const PrivateKey& key,
    const RequestedSubject& subject) __asm__("__wrap_" LATCHKEY_BUILD_REQUEST);
// Members, as functions of what they are called on.
absl::StatusOr<std::string> RealSignRequest(
    const CertificateAuthority* self, std::string_view csr_pem,
    const CertificateProfile& profile) __asm__("__real_" LATCHKEY_SIGN_REQUEST);
absl::StatusOr<std::string> SignRequest(
    const CertificateAuthority* self, std::string_view csr_pem,
    const CertificateProfile& profile) __asm__("__wrap_" LATCHKEY_SIGN_REQUEST);
// NOLINTEND(readability-identifier-naming)

absl::StatusOr<CertificateRequest> ParseRequest(std::string_view pem) {
  static std::map<std::string, absl::StatusOr<CertificateRequest>, std::less<>>
      memory;
  return Remember(memory, pem, [&] { return RealParseRequest(pem); });
}

absl::StatusOr<std::vector<Certificate>> ParseCertificates(
    std::string_view pem) {
  static std::map<std::string, absl::StatusOr<std::vector<Certificate>>,
                  std::less<>>
      memory;
  return Remember(memory, pem, [&] { return RealParseCertificates(pem); });
}

absl::StatusOr<std::string> BuildRequest(const PrivateKey& key,
                                         const RequestedSubject& subject) {
  using Key = std::tuple<std::string, std::string, std::vector<std::string>,
                         std::vector<std::string>>;
  static std::map<Key, absl::StatusOr<std::string>, std::less<>> memory;
  return Remember(memory,
                  Key(key.public_key_digest(), subject.common_name,
                      subject.organizations, subject.dns_names),
                  [&] { return RealBuildRequest(key, subject); });
}

// But for the serial number, which is random: the same request signed in the
// same minute is one certificate. That it is valid from the beginning of that
// minute on changes nothing: signers backdate by more than machines' clocks are
// wrong. There is one authority.
absl::StatusOr<std::string> SignRequest(const CertificateAuthority* self,
                                        std::string_view csr_pem,
                                        const CertificateProfile& profile) {
  using Key = std::tuple<std::string, int64_t, int64_t>;
  static std::map<Key, absl::StatusOr<std::string>, std::less<>> memory;
  const auto begin_of_minute = [](absl::Time time) {
    return absl::ToUnixSeconds(time) / 60 * 60;
  };
  const Key key(csr_pem, begin_of_minute(profile.not_before),
                begin_of_minute(profile.not_after));
  return Remember(memory, key, [&] {
    CertificateProfile rounded = profile;
    rounded.not_before = absl::FromUnixSeconds(std::get<1>(key));
    rounded.not_after = absl::FromUnixSeconds(std::get<2>(key));
    return RealSignRequest(self, csr_pem, rounded);
  });
}

}  // namespace latchkey_testing
