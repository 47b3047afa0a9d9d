// Any bytes as certificates and as a private key, in PEM and as what stands
// within the PEM.

#include <array>
#include <string>
#include <string_view>

#include <absl/strings/escaping.h>

#include "crypto/certificate.h"
#include "crypto/private_key.h"
#include "tests/fuzz/insist.h"

namespace {

using latchkey::Certificate;
using latchkey::PrivateKey;
using latchkey_testing::Insist;

std::string PemOf(std::string_view label, std::string_view der) {
  const std::string name(label);
  return "-----BEGIN " + name + "-----\n" +
         absl::Base64Escape(absl::string_view(der.data(), der.size())) +
         "\n-----END " + name + "-----\n";
}

bool IsHex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

void CheckCertificates(const std::string& pem) {
  const auto all = Certificate::ParseAll(pem);
  if (!all.ok()) {
    Insist(absl::IsInvalidArgument(all.status()));
    return;
  }
  Insist(!all->empty());
  for (const Certificate& one : *all) {
    Insist(one.fingerprint.size() == 64 && IsHex(one.fingerprint));
    Insist(one.key_digest.size() == 64 && IsHex(one.key_digest));
    const size_t sign = one.serial.starts_with('-') ? 1 : 0;
    Insist(one.serial.size() >= sign + 2 && IsHex(one.serial.substr(sign)));
    for (const std::string& name : one.dns_names) {
      Insist(name.find('\0') == std::string::npos);
    }
  }
  const auto twice = Certificate::ParseAll(pem + "\n" + pem);
  Insist(twice.ok() && twice->size() == 2 * all->size());
  Insist(twice->back().fingerprint == all->back().fingerprint);
}

// A key that was read is written, and that read again is the same key.
void CheckKey(const std::string& pem) {
  const auto key = PrivateKey::FromPem(pem);
  if (!key.ok()) {
    Insist(absl::IsInvalidArgument(key.status()));
    return;
  }
  Insist(key->type() != latchkey::KeyType::kOther);
  const latchkey::SecretString written = key->ToPem();
  const auto again = PrivateKey::FromPem(written.Reveal());
  Insist(again.ok());
  Insist(again->public_key_digest() == key->public_key_digest());
  Insist(again->type() == key->type());
  Insist(again->ToPem().Reveal() == written.Reveal());
  Insist(!PrivateKey::FromPem(pem + "x").ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = latchkey_testing::AsText(data, size);
  CheckCertificates(std::string(text));
  CheckCertificates(PemOf("CERTIFICATE", text));
  CheckKey(std::string(text));
  // One of them: OpenSSL takes its time over what is no key.
  constexpr std::array kLabels = {"PRIVATE KEY", "EC PRIVATE KEY",
                                  "RSA PRIVATE KEY"};
  const size_t chosen = latchkey_testing::ChoiceFrom(text) % kLabels.size();
  CheckKey(PemOf(kLabels[chosen], text));
  return 0;
}
