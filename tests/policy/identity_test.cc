#include "policy/identity.h"

#include <string>

#include <absl/time/time.h>
#include <gmock/gmock.h>

#include "core/reasons.h"
#include "crypto/certificate_authority.h"
#include "tests/testing/status_matchers.h"

namespace latchkey {
namespace {

using latchkey_testing::IsOk;
using latchkey_testing::ReasonIs;

std::string CertificateOf(CertificateProfile profile) {
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  static const CertificateAuthority authority =
      CertificateAuthority::Create("test", now, now + absl::Hours(48)).value();
  profile.not_before = now;
  profile.not_after = now + absl::Hours(1);
  profile.client_auth = true;
  return authority.Issue(profile).value().certificate_pem;
}

TEST(IdentityTest, TheStrongestNameNamesTheProvisioner) {
  struct Case {
    const char* name;
    CertificateProfile profile;
    std::string_view want;
  };
  const Case cases[] = {
      {"a SPIFFE ID before all",
       {.common_name = "x",
        .dns_names = {"x.example"},
        .uris = {"https://x.example", "spiffe://example.org/x"}},
       "spiffe://example.org/x"},
      {"then the first DNS name",
       {.common_name = "x", .dns_names = {"a.example", "b.example"}},
       "dns:a.example"},
      {"then the common name", {.common_name = "x"}, "cn:x"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const auto identity = IdentityFromCertificate(CertificateOf(c.profile));
    ASSERT_THAT(identity, IsOk());
    EXPECT_EQ(identity->identity.name, c.want);
  }
  // A common name cannot pose as a SPIFFE ID: the kinds have their prefixes.
  EXPECT_EQ(IdentityFromCertificate(
                CertificateOf({.common_name = "spiffe://example.org/x"}))
                ->identity.name,
            "cn:spiffe://example.org/x");
}

TEST(IdentityTest, IsToBeBelievedUntilItsCertificateExpires) {
  const std::string pem = CertificateOf({.common_name = "x"});
  const absl::Time end = absl::FromUnixSeconds(1'800'000'000) + absl::Hours(1);
  EXPECT_EQ(IdentityFromCertificate(pem)->expires, end);
  IdentityCache identities;
  EXPECT_EQ(identities.IdentityOf(pem)->expires, end);
  EXPECT_EQ(identities.IdentityOf(pem)->expires, end);
}

TEST(IdentityTest, WhoNamesNobodyIsNobody) {
  struct Case {
    const char* name;
    std::string pem;
  };
  const Case cases[] = {
      {"no certificate", "hello"},
      {"nothing", ""},
      {"two SPIFFE IDs",
       CertificateOf(
           {.common_name = "x", .uris = {"spiffe://a/x", "spiffe://b/x"}})},
      // Not the name of its DNS SAN: a SPIFFE ID is there, and says nothing.
      {"a SPIFFE ID with a space",
       CertificateOf({.dns_names = {"a.example"}, .uris = {"spiffe://a/x y"}})},
      {"a SPIFFE ID in capitals",
       CertificateOf({.dns_names = {"a.example"}, .uris = {"SPIFFE://a/x"}})},
      {"a usable SPIFFE ID before an unusable one",
       CertificateOf({.dns_names = {"a.example"},
                      .uris = {"spiffe://a/x", "spiffe://a/x y"}})},
      {"an unusable SPIFFE ID before a usable one",
       CertificateOf(
           {.dns_names = {"a.example"}, .uris = {"spiffe:x", "spiffe://a/x"}})},
      {"a name with a space", CertificateOf({.common_name = "x y"})},
      {"a name with a newline", CertificateOf({.common_name = "x\ny"})},
      {"a look-alike", CertificateOf({.common_name = "\xd0\xb0utoscaler"})},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_THAT(IdentityFromCertificate(c.pem),
                ReasonIs(reason::kUnauthenticated));
  }
}

TEST(IdentityTest, ARememberedIdentityIsThatOfItsCertificate) {
  IdentityCache identities;
  const std::string some = CertificateOf({.common_name = "some"});
  const std::string other = CertificateOf({.common_name = "other"});
  // More than are kept. Text around the blocks makes each another one.
  for (size_t i = 0; i < 2 * IdentityCache::kMaxKnown; ++i) {
    const std::string number = std::to_string(i) + "\n";
    EXPECT_EQ(identities.IdentityOf(number + some)->identity.name, "cn:some");
    EXPECT_EQ(identities.IdentityOf(some)->identity.name, "cn:some");
    EXPECT_EQ(identities.IdentityOf(other)->identity.name, "cn:other");
  }
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(identities.IdentityOf("hello"),
                ReasonIs(reason::kUnauthenticated));
  }
}

}  // namespace
}  // namespace latchkey
